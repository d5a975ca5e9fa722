"""Fetching: mails out of mailboxes at a provider, by IMAP and POP3.

In: the accounts of the configuration. Out: the mails, through the same intake as all
others; a mail is deleted or moved over there only after the spool's commit. One thread
an account, so that no server holds up another or the listeners.

``wire`` one connection under limits · ``mailbox`` what both protocols give · ``imap``
and ``pop3`` how · ``token`` XOAUTH2 · ``book`` what was taken already · ``origin`` the
envelope · ``round`` one visit · ``account`` visit after visit · ``fetching`` all of
them together.

**Each mail once.** A fetched mail's spool id is made of its account, UIDVALIDITY, UID
and octets. Fetched again after a crash it has the same id: the spool and the desk take
it as the mail they have. The book therefore saves work, and losing it loses nothing.
"""

from __future__ import annotations
