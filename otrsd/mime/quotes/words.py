"""What mail programs write around a quote, by language: tables, nothing else.

Lower case, one space between words. A phrase that is missing here costs little where
the quote itself is marked by ``>``; a phrase too many hides what somebody wrote, so
none of these may stand for itself in an ordinary sentence.
"""

from __future__ import annotations

from collections.abc import Mapping

#: The verb of "On …, … wrote:".
WROTE: Mapping[str, tuple[str, ...]] = {
    "en": ("wrote", "writes", "said"),
    "de": ("schrieb", "schrieben", "geschrieben", "hat geschrieben"),
    "fr": ("a écrit", "écrivait", "a ecrit", "écrit", "ecrit"),
    "es": ("escribió", "escribio", "ha escrito"),
    "it": ("ha scritto", "scrisse", "scrive"),
    "pt": ("escreveu", "escreveram"),
    "ca": ("va escriure", "ha escrit"),
    "nl": ("schreef", "heeft geschreven", "geschreven"),
    "sv": ("skrev", "skriver"),
    "fi": ("kirjoitti",),
    "is": ("skrifaði",),
    "pl": ("napisał", "napisała", "napisał(a)", "pisze"),
    "cs": ("napsal", "napsala", "napsal(a)"),
    "sk": ("napísal", "napísala", "napísal(a)"),
    "sl": ("je napisal", "je napisala", "je napisal/a"),
    "hr": ("je napisao", "je napisala", "je napisao/la", "napisao je"),
    "ru": ("написал", "написала", "написал(а)", "написали", "пишет", "писал"),
    "uk": ("пише", "написав", "написала", "писав"),
    "bg": ("написа",),
    "ro": ("a scris",),
    "hu": ("írta", "ezt írta"),
    "et": ("kirjutas",),
    "lv": ("rakstīja",),
    "lt": ("rašė", "parašė"),
    "el": ("έγραψε",),
    "tr": ("yazdı", "şunu yazdı", "tarihinde yazdı"),
    "vi": ("đã viết",),
    "id": ("menulis",),
    "he": ("כתב", "כתבה", "מאת"),
    "ar": ("كتب", "كتبت"),
    "zh": ("写道", "寫道", "写到", "來信", "来信", "撰寫"),
    "ja": ("書きました", "のメール", "のメッセージ", "は書いた", "wrote"),
    "ko": ("작성", "님이 작성", "썼습니다"),
}

#: What a mail opens with that has the author before the date, or no date at all.
CITING: Mapping[str, tuple[str, ...]] = {
    "en": ("quoting", "in a message dated", "in article", "in message"),
    "de": ("zitat von", "zitiere"),
    "fr": ("citation de", "quotation de"),
    "es": ("citando a",),
    "it": ("quoting", "citando"),
    "pt": ("citando",),
    "nl": ("citeren van", "quoting"),
}

#: "-----Original Message-----", between dashes.
ORIGINAL: Mapping[str, tuple[str, ...]] = {
    "en": (
        "original message",
        "original email",
        "original appointment",
        "reply message",
    ),
    "de": (
        "ursprüngliche nachricht",
        "originalnachricht",
        "original-nachricht",
        "original nachricht",
        "ursprüngliche mail",
        "originaltermin",
        "urspr. nachricht",
    ),
    "fr": (
        "message d'origine",
        "message original",
        "message initial",
        "e-mail d'origine",
        "mail original",
    ),
    "es": ("mensaje original", "correo original"),
    "it": ("messaggio originale", "messaggio originario"),
    "pt": ("mensagem original",),
    "ca": ("missatge original",),
    "nl": ("oorspronkelijk bericht", "origineel bericht", "oorspronkelijke bericht"),
    "da": ("oprindelig besked", "oprindelig meddelelse", "original meddelelse"),
    "no": ("opprinnelig melding", "original melding", "opprinnelig beskjed"),
    "sv": (
        "ursprungligt meddelande",
        "originalmeddelande",
        "ursprungsmeddelande",
        "originalmail",
    ),
    "fi": ("alkuperäinen viesti",),
    "pl": (
        "wiadomość oryginalna",
        "oryginalna wiadomość",
        "treść oryginalnej wiadomości",
    ),
    "cs": ("původní zpráva", "původní e-mail"),
    "sk": ("pôvodná správa",),
    "sl": ("izvirno sporočilo",),
    "hr": ("izvorna poruka", "originalna poruka"),
    "ru": ("исходное сообщение", "оригинал сообщения", "первоначальное сообщение"),
    "uk": ("оригінальне повідомлення", "початкове повідомлення"),
    "bg": ("оригинално съобщение", "оригинално писмо"),
    "ro": ("mesaj original", "mesajul original"),
    "hu": ("eredeti üzenet",),
    "el": ("αρχικό μήνυμα",),
    "tr": ("orijinal ileti", "özgün ileti", "orijinal mesaj"),
    "zh": ("原始邮件", "原始郵件", "原邮件", "原始訊息"),
    "ja": ("元のメッセージ", "オリジナルメッセージ", "original message"),
    "ko": ("원본 메시지", "원본 메일"),
}

#: "---------- Forwarded message ---------", and Apple's line without dashes.
FORWARDED: Mapping[str, tuple[str, ...]] = {
    "en": (
        "forwarded message",
        "forwarded by",
        "forwarded email",
        "begin forwarded message",
        "start of forwarded message",
    ),
    "de": (
        "weitergeleitete nachricht",
        "weitergeleitete mail",
        "weitergeleitet von",
        "anfang der weitergeleiteten nachricht",
        "anfang der weitergeleiteten e-mail",
        "beginn der weitergeleiteten nachricht",
    ),
    "fr": (
        "message transféré",
        "message transmis",
        "message réexpédié",
        "début du message réexpédié",
        "début du message transféré",
    ),
    "es": (
        "mensaje reenviado",
        "inicio del mensaje reenviado",
        "comienza el mensaje reenviado",
    ),
    "it": (
        "messaggio inoltrato",
        "inizio messaggio inoltrato",
        "messaggio inoltrato da",
    ),
    "pt": (
        "mensagem encaminhada",
        "mensagem reencaminhada",
        "início da mensagem encaminhada",
        "início da mensagem reencaminhada",
    ),
    "nl": ("doorgestuurd bericht", "begin doorgestuurd bericht"),
    "da": (
        "videresendt besked",
        "videresendt meddelelse",
        "start på videresendt besked",
    ),
    "no": ("videresendt melding", "start på videresendt melding"),
    "sv": ("vidarebefordrat meddelande", "vidarebefordrat brev"),
    "fi": ("välitetty viesti", "edelleenlähetetty viesti"),
    "pl": (
        "wiadomość przekazana dalej",
        "przekazana wiadomość",
        "początek przekazywanej wiadomości",
    ),
    "cs": ("přeposlaná zpráva", "začátek přeposílané zprávy"),
    "ru": ("пересылаемое сообщение", "начало переадресованного сообщения"),
    "uk": ("переслане повідомлення",),
    "hu": ("továbbított üzenet",),
    "tr": ("yönlendirilmiş ileti", "iletilen mesaj"),
    "zh": ("转发的邮件", "轉寄郵件", "转发邮件信息", "转发的消息", "以下是转发的邮件"),
    "ja": ("転送メッセージ", "転送されたメッセージ", "以下、転送"),
    "ko": ("전달된 메시지", "전달받은 메시지"),
}

#: Header names of a quoted mail, by what they name.
LABELS: Mapping[str, tuple[str, ...]] = {
    "from": (
        *("from", "von", "absender", "de", "expéditeur", "da", "mittente", "van"),
        *("från", "fra", "lähettäjä", "od", "nadawca", "odesílatel", "от", "від"),
        *("from whom", "feladó", "de la", "από", "gönderen", "kimden", "发件人"),
        *("寄件者", "寄件人", "發件人", "差出人", "送信者", "보낸 사람", "보낸사람"),
        *(
            "remetente",
            "remitente",
            "expeditor",
            "mesaj from",
            "מאת",
            "от кого",
            "kimden",
        ),
    ),
    "date": (
        *("date", "datum", "fecha", "data", "data invio", "dato", "päivä", "päiväys"),
        *(
            "päivämäärä",
            "data wysłania",
            "dátum",
            "дата",
            "tarih",
            "ημερομηνία",
            "日期",
        ),
        *("时间", "時間", "日時", "날짜", "message du", "дата отправки"),
    ),
    # As Outlook says it, and web forms do not.
    "sent": (
        *("sent", "gesendet", "gesendet am", "gesendet um", "envoyé", "envoyé le"),
        *("enviado", "enviado el", "enviada em", "enviado em", "enviada", "sent at"),
        *("inviato", "inviata", "verzonden", "skickat", "sendt", "sendt den"),
        *("lähetetty", "wysłano", "odesláno", "odoslané", "poslano", "отправлено"),
        *("надіслано", "elküldve", "küldve", "trimis", "gönderilme", "gönderme tarihi"),
        *(
            "gönderildi",
            "发送时间",
            "发送日期",
            "寄件日期",
            "送信日時",
            "送信",
            "보낸 날짜",
        ),
    ),
    "to": (
        *("to", "an", "empfänger", "à", "a", "destinataire", "para", "aan", "til"),
        *("till", "vastaanottaja", "do", "dla", "komu", "кому", "címzett", "către"),
        *("προς", "kime", "alıcı", "收件人", "收件者", "宛先", "받는 사람", "받는사람"),
        *("destinatario", "destinatário", "per", "pre", "za", "prima", "către"),
        *("אל", "до", "za koga", "adressat"),
    ),
    "cc": (
        *("cc", "kopie", "kopie (cc)", "copie à", "copie", "cópia", "copia", "kopia"),
        *(
            "kopi",
            "kopio",
            "копия",
            "копія",
            "másolat",
            "bilgi",
            "抄送",
            "副本",
            "参照",
        ),
        *("bcc", "cci", "cco", "ccn", "참조", "κοιν.", "dw", "udw", "в копии"),
    ),
    "subject": (
        *("subject", "betreff", "objet", "sujet", "asunto", "assunto", "oggetto"),
        *("onderwerp", "ämne", "emne", "aihe", "temat", "předmět", "predmet", "тема"),
        *("tárgy", "subiect", "θέμα", "konu", "主题", "主旨", "主題", "件名", "제목"),
        *("zadeva", "betrifft", "titel", "הנדון", "נושא"),
    ),
    "other": (
        *("reply-to", "antwort an", "risposta", "répondre à", "responder a"),
        *("antwoord aan", "importance", "wichtigkeit", "attachments", "anlagen"),
        *("pièces jointes", "adjuntos", "allegati", "bijlagen", "organization"),
        *("mailed-by", "on behalf of", "priority", "priorität", "when", "where"),
        *("zeit", "wann", "wo", "svar til", "svara till", "vedlegg", "bilagor"),
    ),
}

#: A ticket system's line above which the answer is to be written.
REPLY_ABOVE: Mapping[str, tuple[str, ...]] = {
    "en": (
        "reply above this line",
        "type your reply above",
        "reply above the line",
        "write above this line",
        "please do not write below this line",
    ),
    "de": (
        "oberhalb dieser zeile",
        "über dieser zeile antworten",
        "antworten sie über dieser",
        "oberhalb dieser linie",
    ),
    "fr": ("au-dessus de cette ligne",),
    "es": ("por encima de esta línea", "encima de esta línea"),
    "it": ("sopra questa riga", "sopra questa linea"),
    "nl": ("boven deze regel", "boven deze lijn"),
    "pt": ("acima desta linha",),
}
