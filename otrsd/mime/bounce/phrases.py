"""What mail systems write when a mail comes back: the policy, in tables.

Every phrase is in lower case, with single blanks, and is looked for as it stands. A
phrase belongs here if a mail system writes it and a person hardly would.
"""

from __future__ import annotations

#: In the author's field: nobody but a machine is called so …
DAEMONS = (
    *("mailer-daemon", "mailerdaemon", "mailer daemon", "mail-daemon", "mdaemon@"),
    *("mail delivery sys", "mail delivery subsys", "mail.delivery.system"),
    "@sns.amazonaws.com",
    *("mail deliver system", "mail delivery service", "internet mail delivery"),
)
#: … and so, machines and people are.
SYSTEMS = (
    *("postmaster", "post_master", "post.master", "mail system", "mail administrator"),
    *("mail delivery", "delivery subsystem", "system administrator", "systemadministr"),
    *("microsoft outlook", "microsoft exchange", "mail server", "mailserver"),
    *("administrateur syst", "administrador del sistema", "bounce@", "bounces@"),
)
SUBJECTS = (
    # English
    *("undeliver", "returned mail", "returned to sender", "return to sender"),
    *("returning message to sender", "returning to sender", "failure notice"),
    *("delivery failure", "delivery fail", "delivery problem", "delivery error"),
    *("delivery status", "delivery report", "delivery notification"),
    *("delivery has failed", "failed delivery", "failure delivery", "mail failure"),
    *("failed mail", "mail failed", "not delivered", "non-delivery"),
    *("nondelivery", "delivery unsuccessful", "unable to deliver"),
    *("could not be delivered", "cannot be delivered", "couldn't be delivered"),
    *("could not send message", "mail system error", "mail error", "user unknown"),
    *("unknown user", "unknown recipient", "unknown address", "no such user"),
    *("message rejected", "rejected mail", "mail rejected", "mailbox full"),
    *("bounce notification", "bounced mail", "bounced message"),
    *("sending your mail", "processing error", "delayed mail", "mail delayed"),
    *("delivery delayed", "delayed delivery", "delivery has been delayed"),
    *("delivery is delayed", "delivery incomplete", "has been delayed"),
    # German
    *("unzustellbar", "nicht zustellbar", "nicht zugestellt", "zustellung fehlg"),
    *("zustellfehler", "zustellung verz", "zustellungsbericht", "unzustellbarkeit"),
    *("kann nicht zugestellt", "konnte nicht zugestellt"),
    # French, Spanish, Italian, Portuguese
    *("non remis", "non distribu", "non délivr", "échec de la remise"),
    *("échec de remise", "échec d'envoi", "echec de", "rapport de non-remise"),
    *("no se puede entregar", "no se pudo entregar", "no se ha podido entregar"),
    *("no entregado", "error de entrega", "devuelto al remitente"),
    *("mancato recapito", "non recapitabile", "mancata consegna", "non consegnat"),
    *("não entregue", "falha na entrega", "não foi possível entregar"),
    *("falha de entrega", "devolvida ao remetente"),
    # Dutch, Scandinavian, Finnish
    *("onbestelbaar", "niet bezorgd", "kan niet worden bezorgd", "niet afgeleverd"),
    *("kan inte levereras", "inte levererat", "olevererat", "ej levererat"),
    *("kan ikke leveres", "ikke levert", "ikke leveret", "kunne ikke leveres"),
    *("ei voida toimittaa", "ei toimitettu", "toimittaminen epäonnistui"),
    # Slavic, Hungarian, Turkish, Greek
    *("не доставлено", "не удалось доставить", "недоставленное", "не доставлена"),
    *("niedostarczalne", "nie dostarczono", "nie można dostarczyć", "niedostarczona"),
    *("nedoručiteln", "nedoručen", "nelze doručit", "kézbesíthetetlen"),
    *("nem kézbesíthető", "sikertelen kézbesítés", "teslim edilemedi"),
    *("iletilemedi", "δεν παραδόθηκε", "αδυναμία παράδοσης"),
    # Japanese, Chinese, Korean
    *("配信不能", "配信できません", "送信できませんでした", "エラーメール", "配送不能"),
    *(
        "退信",
        "未送达",
        "无法投递",
        "無法傳遞",
        "未傳遞",
        "無法投遞",
        "반송",
        "배달 실패",
    ),
)
#: At the start of a text.
TEXTS = (
    # English
    *("could not be delivered", "couldn't be delivered", "cannot be delivered"),
    *("can not be delivered", "can't be delivered", "was not delivered"),
    *("not be delivered to", "wasn't able to deliver", "unable to deliver"),
    *("not able to deliver", "were not able to deliver", "not delivered to the"),
    *("has not been delivered", "not yet been delivered", "delivery to the following"),
    *("delevery to the following", "delivery has failed", "delivery failed"),
    *("delivery of this message", "delivery of email to", "did not reach"),
    *("did not receive this message", "did not receive a copy of your message"),
    *("had delivery errors", "had delivery problems", "delivery problems"),
    *("addresses had permanent", "address had permanent", "fatal delivery errors"),
    *("had transient non-fatal", "had fatal errors", "following addresses failed"),
    *("following address failed", "following address(es) failed", "failed addresses"),
    *("address(es) failed:", "recipients failed permanently", "recipient failed"),
    *("following recipient(s) could not be reached", "undeliverable to"),
    *("undeliverable address", "undeliverable message", "was undeliverable"),
    *("transcript of session", "session transcript", "message has been returned"),
    *("mail has been returned", "could not send", "couldn't send your message"),
    *("message was automatically rejected", "was automatically rejected"),
    *("email you sent was rejected", "message you sent was rejected"),
    *("trouble delivering your message", "we had trouble delivering"),
    *("rejected by a remote mail server", "was rejected by the recipient"),
    *("wasn't delivered", "isn't able to receive", "couldn't be found"),
    *("error has occurred while attempting to deliver", "unknown user:"),
    *("invalid final delivery userid", "user mailbox exceeds", "no such user"),
    *("user unknown", "unknown user", "mailbox is full", "mailbox full"),
    *("recipient addresses that were incorrectly constructed", "invalid user address"),
    *("error occurred while sending", "failed to deliver", "failed to send"),
    *("unable to send your", "delivery failed", "permanent error"),
    *("e-mail address(es) you're trying to send to", "message delivery failed"),
    *("not a valid mailbox", "is not a valid", "users. check your send e-mail"),
    *("delivery status notification", "this is the mail system at host"),
    '"notificationtype":"bounce"',
    # German
    *("konnte nicht zugestellt", "konnten nicht zugestellt", "nicht zugestellt werden"),
    *("nicht zustellbar", "kann nicht zugestellt", "nicht übermittelt werden"),
    *("fehler bei der zustellung", "hat den empfänger nicht erreicht"),
    *("den bzw. die folgenden empfänger", "zustellung an folgende"),
    # French, Spanish, Italian, Portuguese
    *("n'a pas pu être remis", "n'a pas pu etre", "n'a pu être", "n'a pas été remis"),
    *("n'a pas pu être délivré", "n'est pas parvenu", "pas pu être distribu"),
    *("no se pudo entregar", "no se ha podido entregar", "no ha podido entregarse"),
    *("no pudo ser entregado", "no se ha entregado", "no se puede entregar"),
    *("non è stato recapitato", "non è stato possibile recapitare"),
    *("non è stato consegnato", "impossibile recapitare", "impossibile consegnare"),
    *("não pôde ser entregue", "não foi entregue", "não foi possível entregar"),
    # Dutch, Scandinavian, Finnish
    *("kon niet worden bezorgd", "niet worden afgeleverd", "kan niet worden bezorgd"),
    *("kunde inte levereras", "kunne ikke leveres", "gick inte att leverera"),
    *("ei voitu toimittaa", "ei voida toimittaa"),
    # Slavic, Hungarian, Turkish
    *("не может быть доставлено", "не было доставлено", "не удалось доставить"),
    *("невозможно доставить", "nie mogła zostać dostarczona"),
    *("nie została dostarczona", "nie można dostarczyć", "nemohla být doručena"),
    *("nelze doručit", "nebylo možné doručit", "nem sikerült kézbesíteni"),
    *("nem kézbesíthető", "teslim edilemedi", "iletilemedi"),
    # Japanese, Chinese, Korean
    *("送信できませんでした", "配信できません", "配送できません", "届けられません"),
    *(
        "配信不能",
        "送信に失敗",
        "无法投递",
        "無法傳遞",
        "未能送达",
        "无法送达",
        "被退回",
    ),
    *("배달되지 않", "전송하지 못"),
)
#: In subject or text: it is only late.
DELAYS = (
    *("this is a warning message only", "this is a warning only", "(delay)"),
    *("do not need to resend", "will be retried", "still being retried"),
    *("has been delayed", "delivery is delayed", "is delayed", "delivery delayed"),
    *("delayed delivery", "message delayed", "delayed mail", "not yet been delivered"),
    *("still undelivered", "will keep trying", "will continue to try"),
    *("no action is required on your part", "wird verzögert", "verzögerte zustellung"),
    *("noch nicht zugestellt", "est retardé", "se ha retrasado", "con ritardo"),
    *("vertraagd", "opóźnion", "försenad", "forsinket", "отложена", "задерживается"),
)
#: It is too late in spite of such words.
FINAL = (
    *("permanent error", "fatal errors", "failed permanently", "giving up"),
    *("given up", "permanent fatal"),
)
#: Where the mail that comes back begins, within a text; and where a person quotes.
RETURNED = (
    *("below this line is a copy", "below the next line is a copy"),
    *("original message follows", "message headers follow", "message header follows"),
    *("----- original message", "-----original message", "--- original message"),
    *("original message header", "original message details", "original headers"),
    *("this is a copy of", "is a copy of the message", "here is a copy of"),
    *("included is a copy", "below is a copy of", "enclosed is a copy"),
    *("header of the original message", "unsent message", "returned mail follows"),
    *("start of returned message", "message text follows", "original message attached"),
    *("of your original message follow", "your message reads", "bounced e-mail:"),
    *("-- undelivered message", "--original message", "message body follows"),
    *("--- begin message", "begin forwarded message", "--- returned message"),
    *("forwarded message", "weitergeleitete nachricht", "message transféré"),
    *("\nreceived: ", "\nreturn-path: ", "\nx-received: "),
)
#: Before a subject: a person has sent this on, or answers it.
PASSED_ON = (
    *("re:", "aw:", "sv:", "fwd:", "fw:", "wg:", "tr:", "rv:", "vs:", "antw:"),
    *("i:", "enc:", "doorst:", "odp:", "pd:", "vb:", "回复", "转发", "答复"),
)
