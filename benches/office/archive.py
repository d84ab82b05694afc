"""Makes an archive as an office and a ward might have it: decrees, minutes, tariffs, mails, contracts, patients' notes.

    python benches/office/archive.py FOLDER        # needs python-docx, openpyxl and reportlab

57 documents in four languages and ten formats, with versions that contradict each other, namesakes, tables, near-duplicates and old
encodings. All people and places are invented. `questions.jsonl` asks about it, `ask.py` counts what comes out.
"""

import sys, os, zipfile, csv, io
from email.message import EmailMessage
from docx import Document
from openpyxl import Workbook
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet, ParagraphStyle
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle
from reportlab.lib import colors

R = sys.argv[1]


def P(p):
    p = os.path.join(R, p)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    return p


S = getSampleStyleSheet()
B = ParagraphStyle("b", parent=S["BodyText"], fontSize=10, leading=13, spaceAfter=6)


def pdf(path, title, blocks, head, foot, pagebreaks=True):
    def hf(c, d):
        c.saveState()
        c.setFont("Helvetica", 8)
        c.drawString(60, A4[1] - 35, head)
        c.drawString(60, 30, foot)
        c.drawRightString(A4[0] - 60, 30, "Seite %d" % d.page)
        c.restoreState()

    st = [Paragraph(title, S["Title"])]
    for b in blocks:
        if isinstance(b, list):
            t = Table(b)
            t.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)]))
            st += [t, Spacer(1, 8)]
        elif b == "---":
            st.append(PageBreak())
        elif b.startswith("# "):
            st.append(Paragraph(b[2:], S["Heading2"]))
        else:
            st.append(Paragraph(b, B))
    SimpleDocTemplate(P(path), pagesize=A4, title=title, topMargin=70, bottomMargin=60).build(st, onFirstPage=hf, onLaterPages=hf)


def docx(path, title, blocks):
    d = Document()
    d.add_heading(title, 0)
    for b in blocks:
        if isinstance(b, list):
            t = d.add_table(rows=0, cols=len(b[0]))
            t.style = "Table Grid"
            for r in b:
                cs = t.add_row().cells
                for c, x in zip(cs, r):
                    c.text = str(x)
        elif b.startswith("## "):
            d.add_heading(b[3:], 2)
        elif b.startswith("# "):
            d.add_heading(b[2:], 1)
        elif b.startswith("* "):
            d.add_paragraph(b[2:], style="List Bullet")
        else:
            d.add_paragraph(b)
    d.core_properties.title = title
    d.save(P(path))


def odt(path, title, blocks):
    from odf.opendocument import OpenDocumentText
    from odf import text, table

    d = OpenDocumentText()
    d.text.addElement(text.H(outlinelevel=1, text=title))
    for b in blocks:
        if isinstance(b, list):
            t = table.Table()
            t.addElement(table.TableColumn(numbercolumnsrepeated=len(b[0])))
            for r in b:
                tr = table.TableRow()
                for x in r:
                    c = table.TableCell()
                    c.addElement(text.P(text=str(x)))
                    tr.addElement(c)
                t.addElement(tr)
            d.text.addElement(t)
        elif b.startswith("# "):
            d.text.addElement(text.H(outlinelevel=2, text=b[2:]))
        else:
            d.text.addElement(text.P(text=b))
    d.save(P(path))


def xlsx(path, sheets):
    w = Workbook()
    w.remove(w.active)
    for n, rows in sheets:
        s = w.create_sheet(n)
        for r in rows:
            s.append(r)
    w.save(P(path))


def txt(path, s, enc="utf-8"):
    open(P(path), "wb").write(s.replace("\n", "\r\n").encode(enc))


def html(path, title, body):
    open(P(path), "w").write(
        f'<!doctype html><html lang="de"><head><meta charset="utf-8"><title>{title}</title></head><body><nav><a href="/">Startseite</a> | <a href="/kontakt">Kontakt</a></nav><main><h1>{title}</h1>{body}</main><footer>© Kanton Thalgau. Impressum</footer></body></html>'
    )


def tab(rows):
    return (
        "<table>"
        + "".join("<tr>" + "".join(f'<{"th" if i==0 else "td"}>{c}</{"th" if i==0 else "td"}>' for c in r) + "</tr>" for i, r in enumerate(rows))
        + "</table>"
    )


def eml(path, frm, to, subj, date, body, att=None):
    m = EmailMessage()
    m["From"] = frm
    m["To"] = to
    m["Subject"] = subj
    m["Date"] = date
    m["Message-ID"] = "<%s@tg.example>" % abs(hash(path))
    m.set_content(body)
    if att:
        (
            m.add_attachment(att[1], maintype="text", subtype=att[2], filename=att[0])
            if isinstance(att[1], bytes)
            else m.add_attachment(att[1], filename=att[0])
        )
    open(P(path), "wb").write(m.as_bytes())


def rtf(path, s):
    o = "".join(c if ord(c) < 128 and c not in "{}\\" else "\\'%02x" % c.encode("cp1252")[0] for c in s).replace("\n", "\\par\n")
    open(P(path), "w").write("{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0 Arial;}}\\f0\\fs22 " + o + "}")


# ---------- decrees ----------
def gebv(y, f):
    return [
        "# 1. Abschnitt: Allgemeines",
        "<b>Art. 1</b> Diese Verordnung regelt die Gebühren, welche die Amtsstellen des Kantons Thalgau für ihre Verrichtungen erheben.",
        "<b>Art. 2</b> Die Gebühr schuldet, wer eine Verrichtung veranlasst. Mehrere Personen, die gemeinsam eine Verrichtung veranlassen, haften solidarisch.",
        "<b>Art. 3</b> <super>1</super> Von der Gebührenpflicht befreit sind der Bund, die Gemeinden des Kantons und die öffentlich-rechtlichen Schulen. <super>2</super> Die Befreiung gilt nicht für gewerbliche Verrichtungen.",
        "# 2. Abschnitt: Bemessung",
        f'<b>Art. 4</b> <super>1</super> Soweit der Tarif keine feste Gebühr vorsieht, wird nach Zeitaufwand abgerechnet. <super>2</super> Der Stundenansatz beträgt Fr. {f["std"]}.– für Sachbearbeitende und Fr. {f["jur"]}.– für Juristinnen und Juristen. <super>3</super> Angefangene Viertelstunden werden voll berechnet.',
        f'<b>Art. 5</b> Für eine amtliche Beglaubigung wird eine Gebühr von Fr. {f["begl"]}.– je Unterschrift erhoben.',
        f'<b>Art. 6</b> Kopien aus Akten kosten Fr. {f["kop"]} je Seite; ab der 101. Seite ermässigt sich der Betrag auf die Hälfte.',
        "---",
        "# 3. Abschnitt: Bezug",
        f'<b>Art. 7</b> <super>1</super> Gebühren sind innert {f["zahl"]} Tagen seit Rechnungsstellung zu bezahlen. <super>2</super> Nach Ablauf der Frist ist ein Verzugszins von {f["zins"]} Prozent geschuldet. <super>3</super> Für die zweite Mahnung wird eine Mahngebühr von Fr. {f["mahn"]}.– erhoben.',
        "<b>Art. 8</b> <super>1</super> Die Behörde kann einen Kostenvorschuss verlangen, wenn die voraussichtliche Gebühr Fr. 500.– übersteigt. <super>2</super> Wird der Vorschuss nicht fristgerecht geleistet, tritt die Behörde auf das Gesuch nicht ein.",
        "<b>Art. 9</b> In Härtefällen kann die Gebühr ganz oder teilweise erlassen werden. Zuständig für den Erlass ist bis Fr. 2000.– die Amtsleitung, darüber hinaus die Direktion der Finanzen.",
        "# 4. Abschnitt: Verfahren",
        "<b>Art. 10</b> Gegen Gebührenverfügungen kann innert 20 Tagen bei der Rekurskommission Rekurs erhoben werden. Der Rekurs hat aufschiebende Wirkung.",
        "<b>Art. 11</b> Die Verjährung der Gebührenforderung tritt fünf Jahre nach Fälligkeit ein.",
        "---",
        "# 5. Abschnitt: Schlussbestimmungen",
        f"<b>Art. 12</b> Diese Verordnung tritt am 1. Januar {y} in Kraft."
        + (" Die Gebührenverordnung vom 14. November 2018 wird aufgehoben." if y == 2024 else ""),
        f'Im Namen des Regierungsrates: Der Präsident: {f["pr"]}. Die Staatsschreiberin: Dr. Regula Öttinger.',
    ]


pdf(
    "erlasse/GebV_2024.pdf",
    "Gebührenverordnung (GebV) vom 7. November 2023",
    gebv(2024, dict(std=110, jur=180, begl=25, kop="0.80", zahl=30, zins=5, mahn=40, pr="Urs Blöchlinger")),
    "Kanton Thalgau – Systematische Rechtssammlung 641.21",
    "GebV – Stand 1. Januar 2024",
)
pdf(
    "erlasse/GebV_2019_aufgehoben.pdf",
    "Gebührenverordnung (GebV) vom 14. November 2018",
    gebv(2019, dict(std=90, jur=150, begl=20, kop="0.50", zahl=60, zins=4, mahn=20, pr="Annemarie Zgraggen")),
    "Kanton Thalgau – Systematische Rechtssammlung 641.21 (aufgehoben)",
    "GebV – Stand 1. Januar 2019",
)
docx(
    "erlasse/Dekret_Archivierung.docx",
    "Weisung über die Aufbewahrung und Archivierung von Akten",
    [
        "Staatskanzlei, Aktenzeichen SK-2022-0417, gültig ab 1. Juli 2022",
        "# 1 Geltungsbereich",
        "Diese Weisung gilt für alle Dienststellen der kantonalen Verwaltung mit Ausnahme der Gerichte.",
        "# 2 Aufbewahrungsfristen",
        [
            ["Aktenart", "Aufbewahrungsfrist", "Danach"],
            ["Personaldossiers", "10 Jahre nach Austritt", "Vernichtung"],
            ["Baubewilligungsakten", "unbefristet", "Übergabe an Staatsarchiv"],
            ["Buchhaltungsbelege", "10 Jahre", "Vernichtung"],
            ["Bewerbungsunterlagen Abgewiesener", "3 Monate", "Rückgabe oder Löschung"],
            ["Videoaufzeichnungen", "72 Stunden", "Löschung"],
            ["Steuerakten", "15 Jahre", "Auswahlarchivierung"],
        ],
        "# 3 Verantwortung",
        "Verantwortlich für die Einhaltung der Fristen ist die Leiterin oder der Leiter der jeweiligen Dienststelle. Die fachliche Aufsicht übt das Staatsarchiv aus.",
        "# 4 Vernichtung",
        "Akten dürfen erst vernichtet werden, nachdem das Staatsarchiv die Archivwürdigkeit schriftlich verneint hat. Über jede Vernichtung ist ein Protokoll zu führen, das zwanzig Jahre aufzubewahren ist.",
    ],
)
art = []
T = {
    3: ("Probezeit", "Die Probezeit beträgt drei Monate. Sie kann bei längerer Abwesenheit um höchstens drei weitere Monate verlängert werden."),
    4: (
        "Kündigungsfristen",
        "Nach Ablauf der Probezeit kann das Arbeitsverhältnis beidseitig auf das Ende eines Monats gekündigt werden, im ersten Dienstjahr mit einer Frist von einem Monat, ab dem zweiten Dienstjahr mit einer Frist von drei Monaten und für Kader mit einer Frist von sechs Monaten.",
    ),
    5: ("Wöchentliche Arbeitszeit", "Die wöchentliche Sollarbeitszeit beträgt 42 Stunden."),
    6: (
        "Gleitzeit",
        "Positive Gleitzeitsaldi über 100 Stunden verfallen am 31. Dezember ohne Entschädigung. Negative Saldi über 20 Stunden werden vom Lohn abgezogen.",
    ),
    7: (
        "Ferien",
        "Der Ferienanspruch beträgt 25 Arbeitstage pro Kalenderjahr. Ab dem 50. Altersjahr beträgt er 28, ab dem 60. Altersjahr 33 Arbeitstage.",
    ),
    8: (
        "Ferienübertrag",
        "Nicht bezogene Ferien sind bis spätestens 30. April des Folgejahres zu beziehen. Danach verfallen sie, soweit dies rechtlich zulässig ist.",
    ),
    9: (
        "Vaterschaftsurlaub",
        "Väter haben Anspruch auf einen bezahlten Urlaub von vier Wochen, der innert zwölf Monaten seit der Geburt zu beziehen ist.",
    ),
    10: (
        "Mutterschaftsurlaub",
        "Der bezahlte Mutterschaftsurlaub dauert 18 Wochen. Er beginnt frühestens zwei Wochen vor dem errechneten Geburtstermin.",
    ),
    11: (
        "Kurzabsenzen",
        "Für die Pflege eines erkrankten Kindes werden bis zu drei Arbeitstage pro Ereignis gewährt. Für den eigenen Umzug wird ein Arbeitstag gewährt, für die eigene Hochzeit drei Arbeitstage.",
    ),
    12: (
        "Lohnfortzahlung bei Krankheit",
        "Bei Krankheit wird der Lohn während zwölf Monaten zu 100 Prozent und während weiterer zwölf Monate zu 80 Prozent ausgerichtet. Ein Arztzeugnis ist ab dem vierten Krankheitstag einzureichen.",
    ),
    13: (
        "Nebenbeschäftigung",
        "Entgeltliche Nebenbeschäftigungen von mehr als vier Stunden pro Woche bedürfen der Bewilligung durch die Anstellungsbehörde.",
    ),
    14: (
        "Geschenke",
        "Die Annahme von Geschenken ist untersagt. Ausgenommen sind geringfügige, sozial übliche Vorteile bis zu einem Wert von Fr. 100.–.",
    ),
    15: (
        "Weiterbildung",
        "Der Kanton beteiligt sich an den Kosten berufsbezogener Weiterbildungen. Ab einer Beteiligung von Fr. 5000.– wird eine Rückzahlungsverpflichtung von zwei Jahren vereinbart.",
    ),
    16: (
        "Dienstaltersgeschenk",
        "Nach jeweils zehn Dienstjahren wird ein Dienstaltersgeschenk in der Höhe von einem halben Monatslohn ausgerichtet. Es kann ganz oder teilweise als Urlaub bezogen werden.",
    ),
    17: (
        "Altersrücktritt",
        "Der ordentliche Altersrücktritt erfolgt am Ende des Monats, in dem das 65. Altersjahr vollendet wird. Ein vorzeitiger Rücktritt ist ab dem vollendeten 60. Altersjahr möglich.",
    ),
}
for n, (h, t) in T.items():
    art += [
        f"<b>§ {n} {h}</b>",
        f"{t}",
        "Die Einzelheiten regelt das Personalamt in den Ausführungsbestimmungen. Vorbehalten bleiben abweichende Bestimmungen des übergeordneten Rechts und der Gesamtarbeitsverträge für besondere Berufsgruppen, namentlich für die Kantonspolizei und das Pflegepersonal des Kantonsspitals.",
    ]
pdf(
    "erlasse/Personalreglement_2022.pdf",
    "Personalreglement des Kantons Thalgau",
    [
        "<b>§ 1 Zweck</b>",
        "Dieses Reglement regelt die Arbeitsverhältnisse des kantonalen Personals.",
        "<b>§ 2 Geltungsbereich</b>",
        "Es gilt für alle Angestellten mit unbefristetem oder befristetem Vertrag. Lernende und Praktikantinnen unterstehen besonderen Bestimmungen.",
    ]
    + art,
    "Personalreglement 2022 – RS 165.110",
    "Personalamt Thalgau, Bahnhofstrasse 12",
)
docx(
    "erlasse/Reglement_Homeoffice_2023.docx",
    "Reglement über das mobile Arbeiten (Homeoffice)",
    [
        "Erlassen von der Geschäftsleitung am 9. Mai 2023, in Kraft seit 1. Juni 2023",
        "# Artikel 1 Grundsatz",
        "Auf mobiles Arbeiten besteht kein Rechtsanspruch.",
        "# Artikel 2 Umfang",
        "Bei einem Vollpensum sind höchstens zwei Tage pro Woche im Homeoffice zulässig.[1] Teilzeitangestellte dürfen höchstens 40 Prozent ihres Pensums mobil leisten.",
        "# Artikel 3 Bewilligung",
        "Die direkt vorgesetzte Person bewilligt das mobile Arbeiten schriftlich. Die Bewilligung kann jederzeit mit einer Frist von 14 Tagen widerrufen werden.",
        "# Artikel 4 Ausland",
        "Mobiles Arbeiten im Ausland ist nicht gestattet. Ausnahmen für Grenzgängerinnen und Grenzgänger bewilligt das Personalamt.[2]",
        "# Artikel 5 Entschädigung",
        "Es wird eine Pauschale von Fr. 30.– pro Monat für Strom und Internet ausgerichtet.",
        "[1] Für Lernende gilt höchstens ein Tag pro Woche.",
        "[2] Massgebend ist das Abkommen über die Besteuerung von Grenzgängern; der Anteil darf 40 Prozent der Jahresarbeitszeit nicht übersteigen.",
    ],
)
docx(
    "erlasse/Reglement_Homeoffice_2020.docx",
    "Reglement über das mobile Arbeiten (Homeoffice)",
    [
        "Erlassen von der Geschäftsleitung am 3. November 2020, ausser Kraft seit 31. Mai 2023",
        "# Artikel 1 Grundsatz",
        "Auf mobiles Arbeiten besteht kein Rechtsanspruch.",
        "# Artikel 2 Umfang",
        "Bei einem Vollpensum ist höchstens ein Tag pro Woche im Homeoffice zulässig.",
        "# Artikel 3 Bewilligung",
        "Die Amtsleitung bewilligt das mobile Arbeiten schriftlich.",
        "# Artikel 5 Entschädigung",
        "Eine Entschädigung wird nicht ausgerichtet.",
    ],
)


# ---------- tax ----------
def fr(y, e, zins, verl):
    return [
        f"Steuerverwaltung Thalgau, Rundschreiben Nr. {y%100}/04",
        "# Einreichung der Steuererklärung",
        f"Die Steuererklärung {y-1} ist von unselbständig Erwerbenden bis 31. März {y} einzureichen, von selbständig Erwerbenden bis 30. September {y}. Eine Fristverlängerung wird auf Gesuch hin längstens bis {verl} gewährt.",
        "# Einsprache",
        f"Gegen die Veranlagungsverfügung kann innert {e} Tagen seit Zustellung schriftlich Einsprache bei der Steuerverwaltung erhoben werden. Die Einsprache ist zu begründen und zu unterzeichnen; eine Einsprache per E-Mail ist nicht gültig.",
        "# Zinsen",
        f"Der Verzugszins für die Kantons- und Gemeindesteuern beträgt im Jahr {y} {zins} Prozent. Der Vergütungszins beträgt {0.25 if y<2023 else 1.0} Prozent.",
        "# Erlass",
        "Erlassgesuche sind bei der Wohnsitzgemeinde einzureichen. Beizulegen sind die letzten drei Lohnabrechnungen, ein Auszug aus dem Betreibungsregister, der Mietvertrag und eine Aufstellung der monatlichen Ausgaben.",
    ]


docx("steuern/Rundschreiben_Fristen_2023.docx", "Rundschreiben: Fristen und Zinsen im Steuerverfahren 2023", fr(2023, 30, "4,0", "30. November 2023"))
docx("steuern/Rundschreiben_Fristen_2021.docx", "Rundschreiben: Fristen und Zinsen im Steuerverfahren 2021", fr(2021, 30, "3,5", "31. Dezember 2021"))
txt(
    "steuern/Merkblatt_Hundesteuer_2024.txt",
    """Merkblatt Hundesteuer 2024

Die Hundesteuer beträgt 120 Franken für den ersten Hund und 180 Franken für jeden weiteren Hund im selben Haushalt.
Stichtag ist der 1. März. Wer einen Hund nach dem 1. Oktober anschafft, schuldet für das laufende Jahr keine Steuer.
Steuerfrei sind Blindenführhunde, Rettungshunde mit gültigem Einsatzausweis sowie Diensthunde der Polizei.
Jeder Hund muss mit einem Mikrochip gekennzeichnet und in der Datenbank AMICUS registriert sein.
Wer die Anmeldung unterlässt, wird mit einer Busse bis 500 Franken bestraft.
Auskunft: Frau Züger, Steueramt, Büro 114.
""",
    "cp1252",
)
txt(
    "steuern/Merkblatt_Hundesteuer_2023.txt",
    """Merkblatt Hundesteuer 2023

Die Hundesteuer beträgt 100 Franken für den ersten Hund und 150 Franken für jeden weiteren Hund im selben Haushalt.
Stichtag ist der 1. März. Wer einen Hund nach dem 1. Oktober anschafft, schuldet für das laufende Jahr keine Steuer.
Steuerfrei sind Blindenführhunde, Rettungshunde mit gültigem Einsatzausweis sowie Diensthunde der Polizei.
Jeder Hund muss mit einem Mikrochip gekennzeichnet und in der Datenbank AMICUS registriert sein.
Wer die Anmeldung unterlässt, wird mit einer Busse bis 300 Franken bestraft.
Auskunft: Herr Bühlmann, Steueramt, Büro 112.
""",
    "cp1252",
)
# ---------- fee tables ----------
xlsx(
    "tarife/Gebuehrentarif_2024.xlsx",
    [
        (
            "Einwohnerdienste",
            [
                ["Gebührentarif Kanton Thalgau 2024"],
                [],
                ["Nr.", "Leistung", "Gebühr CHF", "Bemerkung"],
                [101, "Identitätskarte Erwachsene", 70, "inkl. Porto 5.-"],
                [102, "Identitätskarte Kinder", 35, "bis 18 Jahre"],
                [103, "Reisepass Erwachsene", 145, "10 Jahre gültig"],
                [104, "Reisepass Kinder", 65, "5 Jahre gültig"],
                [105, "Wohnsitzbestätigung", 20, None],
                [106, "Heimatausweis", 30, "Wochenaufenthalt"],
                [107, "Leumundszeugnis", 17, None],
            ],
        ),
        (
            "Bauwesen",
            [
                ["Nr.", "Leistung", "Gebühr CHF", "Bemerkung"],
                [201, "Baubewilligung Einfamilienhaus", 1800, "ordentliches Verfahren"],
                [202, "Baubewilligung Mehrfamilienhaus", 4200, "bis 8 Wohnungen"],
                [203, "Vereinfachtes Verfahren (Meldepflicht)", 250, None],
                [204, "Wärmepumpe aussen", 180, "nur Meldung"],
                [205, "Bauabnahme", 320, "pro Termin"],
                [206, "Vorentscheid", 600, None],
            ],
        ),
    ],
)
s = io.StringIO()
w = csv.writer(s, delimiter=";")
for r in [
    ["Nr.", "Leistung", "Gebühr CHF", "Gültig bis"],
    ["101", "Identitätskarte Erwachsene", "65", "31.12.2023"],
    ["103", "Reisepass Erwachsene", "140", "31.12.2023"],
    ["105", "Wohnsitzbestätigung", "15", "31.12.2023"],
    ["110", "Lebensbestätigung für ausländische Rente", "10", "31.12.2023"],
    ["201", "Baubewilligung Einfamilienhaus", "1600", "31.12.2023"],
    ["210", "Reklamebewilligung", "220", "31.12.2023"],
]:
    w.writerow(r)
txt("tarife/Gebuehrentarif_2022.csv", s.getvalue().replace("\r\n", "\n"), "cp1252")
html(
    "tarife/strassenverkehr.html",
    "Tarife des Strassenverkehrsamtes",
    "<p>Gültig ab 1. Februar 2024. Alle Beträge in Franken, inklusive Mehrwertsteuer.</p><h2>Führerausweise</h2>"
    + tab(
        [
            ["Leistung", "Preis", "Bearbeitungsdauer"],
            ["Lernfahrausweis", "55.00", "5 Arbeitstage"],
            ["Führerausweis im Kreditkartenformat", "75.00", "8 Arbeitstage"],
            ["Internationaler Führerausweis", "35.00", "sofort am Schalter"],
            ["Duplikat bei Verlust", "60.00", "8 Arbeitstage"],
        ]
    )
    + "<h2>Fahrzeugprüfungen</h2>"
    + tab(
        [
            ["Fahrzeugart", "Prüfgebühr", "Nachprüfung"],
            ["Personenwagen", "68.00", "34.00"],
            ["Motorrad", "52.00", "26.00"],
            ["Lieferwagen bis 3,5 t", "92.00", "46.00"],
            ["Anhänger", "48.00", "24.00"],
        ]
    )
    + "<h2>Kontrollschilder</h2><p>Die Deponierung der Kontrollschilder ist während längstens eines Jahres möglich. Für die Wiedereinlösung werden 40 Franken erhoben. Wunschkontrollschilder werden ausschliesslich über die Online-Auktion abgegeben; das Mindestgebot beträgt 500 Franken.</p>",
)
xlsx(
    "tarife/Spesenansaetze.xlsx",
    [
        (
            "Inland",
            [
                ["Spesenart", "Ansatz CHF", "Beleg nötig"],
                ["Mittagessen", "28.00", "nein"],
                ["Nachtessen", "35.00", "nein"],
                ["Übernachtung mit Frühstück", "180.00", "ja"],
                ["Privatwagen pro km", "0.70", "nein"],
                ["Motorrad pro km", "0.40", "nein"],
                ["Halbtax-Abonnement", "190.00", "ja"],
            ],
        ),
        (
            "Ausland",
            [
                ["Land", "Tagespauschale EUR", "Übernachtung EUR"],
                ["Deutschland", "45", "140"],
                ["Frankreich", "50", "160"],
                ["Italien", "42", "130"],
                ["Österreich", "44", "125"],
            ],
        ),
    ],
)
# ---------- French, Italian, English ----------
docx(
    "fr/Circulaire_bourses_2024.docx",
    "Circulaire relative aux bourses d’études 2024/2025",
    [
        "Service des subsides de formation, le 15 février 2024",
        "# Délai",
        "Les demandes de bourse doivent être déposées au plus tard le 31 octobre 2024. Toute demande tardive est réduite proportionnellement.",
        "# Montant",
        "Le montant maximal de la bourse s’élève à 16 000 francs par année pour le degré tertiaire et à 11 000 francs pour le degré secondaire II. Il est augmenté de 3 500 francs par enfant à charge.",
        "# Pièces à joindre",
        "La demande doit être accompagnée des pièces suivantes : l’attestation d’immatriculation, la dernière décision de taxation des parents, le contrat de bail et une copie de la pièce d’identité.",
        "# Remboursement",
        "En cas d’interruption des études sans motif valable, la bourse doit être remboursée dans un délai de cinq ans. Aucun intérêt n’est perçu pendant les deux premières années.",
        "# Limite d’âge",
        "Aucune bourse n’est octroyée aux personnes ayant dépassé l’âge de 40 ans au début de la formation.",
    ],
)
pdf(
    "fr/Decret_accueil_enfance.pdf",
    "Décret sur l’accueil extrafamilial de la petite enfance (DAPE)",
    [
        "# Chapitre 1 – Dispositions générales",
        "<b>Art. 1</b> Le présent décret règle la subvention des places d’accueil en crèche et chez les parents de jour.",
        "<b>Art. 2</b> L’exploitation d’une crèche est soumise à l’autorisation du Service de l’enfance. L’autorisation est valable quatre ans.",
        "# Chapitre 2 – Encadrement",
        "<b>Art. 3</b> Le taux d’encadrement est d’une personne formée pour cinq enfants de moins de dix-huit mois, et d’une personne formée pour huit enfants de plus de dix-huit mois.",
        "<b>Art. 4</b> La direction de la crèche doit disposer d’un diplôme reconnu et d’au moins trois ans d’expérience professionnelle.",
        "---",
        "# Chapitre 3 – Subventions",
        "<b>Art. 5</b> Le canton verse une subvention de 28 francs par jour et par enfant aux crèches autorisées. Les parents de jour reçoivent 6 francs par heure.",
        "<b>Art. 6</b> Les parents dont le revenu déterminant dépasse 120 000 francs paient le tarif plein.",
        "<b>Art. 7</b> La directrice du Service de l’enfance, Mme Hélène Cœurdevey, statue sur les demandes de subvention.",
        "# Chapitre 4 – Entrée en vigueur",
        "<b>Art. 8</b> Le présent décret entre en vigueur le 1er août 2023.",
    ],
    "Canton de Thalgau – Recueil systématique 850.4",
    "DAPE – état au 1er août 2023",
)
txt(
    "fr/Note_deneigement.txt",
    """Note de service – Déneigement hiver 2024/2025

Le service d’hiver est assuré du 1er novembre au 15 avril. Le piquet est joignable au 041 555 07 07.
Les trottoirs doivent être dégagés avant 7 heures du matin ; l’obligation incombe aux propriétaires riverains.
L’épandage de sel est interdit à moins de 10 mètres des captages d’eau potable.
Responsable : M. François Noël, chef du centre d’entretien de Châtelmont.
""",
    "utf-16",
)
html(
    "it/circolare_permessi.html",
    "Circolare sui permessi per manifestazioni 2024",
    "<p>La domanda di permesso per manifestazioni pubbliche deve essere presentata almeno 45 giorni prima dell’evento.</p><h2>Tasse</h2>"
    + tab(
        [
            ["Tipo di manifestazione", "Tassa CHF", "Termine"],
            ["Festa di quartiere", "80", "45 giorni"],
            ["Concerto all’aperto", "350", "60 giorni"],
            ["Mercato", "120 al giorno", "30 giorni"],
            ["Gara sportiva", "200", "90 giorni"],
        ]
    )
    + "<h2>Rumore</h2><p>La musica amplificata deve cessare alle ore 23.00 nei giorni feriali e a mezzanotte il venerdì e il sabato. Il livello sonoro non può superare 93 decibel.</p><h2>Responsabilità</h2><p>L’organizzatore deve stipulare un’assicurazione di responsabilità civile con una copertura minima di 5 milioni di franchi. Responsabile dell’ufficio permessi è la signora Ilaria Pedrazzini.</p>",
)
docx(
    "it/Contratto_trasporto_alunni.docx",
    "Contratto di trasporto degli alunni",
    [
        "Tra il Comune di Valdorata e la ditta Autolinee Prealpi SA si conviene quanto segue.",
        "1. La ditta effettua il trasporto degli alunni dal 2 settembre 2024 al 30 giugno 2027.",
        "2. Il compenso annuo ammonta a 94’500 franchi, pagabile in quattro rate trimestrali.",
        "3. Gli autobus devono essere dotati di cinture di sicurezza a tre punti. L’età massima dei veicoli è di otto anni.",
        "4. Il contratto può essere disdetto con un preavviso di sei mesi per la fine di un anno scolastico.",
        "5. In caso di ritardo superiore a 20 minuti è dovuta una penale di 150 franchi.",
    ],
)
open(P("en/newcomers_guide.md"), "w").write("""# Newcomers' guide to Thalgau (2024)

## Registration
You must register with the residents' office of your commune within 14 days of your arrival. Bring your passport, your rental agreement, proof of health insurance and two passport photos. Registration costs 40 francs per adult; children are free.

## Health insurance
Every resident must take out basic health insurance within three months of arrival. Cover applies retroactively from the date of arrival.

## Driving licences
Foreign driving licences must be exchanged within twelve months. A control drive is required for licences issued outside the EU and EFTA.

## Waste
Household waste may only be put out in the official grey bags. A 35-litre bag costs 2.10 francs. Glass and metal are collected at the recycling point on Seestrasse, which is open Monday to Saturday from 8 am to 7 pm.

## Schooling
Kindergarten is compulsory from the age of four. The cut-off date is 31 July.
""")
docx(
    "en/Software_Licence_Agreement.docx",
    "Software Licence and Maintenance Agreement no. IT-2023-118",
    [
        'between the Canton of Thalgau (the "Customer") and Northwind Systems Ltd, Dublin (the "Supplier")',
        "# 1 Term",
        "This Agreement commences on 1 April 2023 and continues for an initial term of five years. It renews automatically for successive periods of one year unless terminated by either party with nine months’ written notice.",
        "# 2 Fees",
        "The annual licence fee is CHF 236,000 excluding VAT for up to 450 named users. Each additional named user is charged at CHF 410 per year.",
        "# 3 Service levels",
        "The Supplier guarantees an availability of 99.5 per cent per calendar month. Priority 1 incidents shall be acknowledged within 30 minutes and resolved within four hours. Priority 2 incidents shall be resolved within two business days.",
        "# 4 Liability",
        "The Supplier’s aggregate liability is limited to twice the annual licence fee. The limitation does not apply to gross negligence or wilful misconduct.",
        "# 5 Data location",
        "Customer data shall be stored exclusively in data centres located in Switzerland.",
        "# 6 Governing law",
        "This Agreement is governed by Swiss law; the place of jurisdiction is Linthberg.",
    ],
)
# ---------- minutes ----------
docx(
    "protokolle/GL_2024-03-12.docx",
    "Protokoll der Geschäftsleitungssitzung vom 12. März 2024",
    [
        "Anwesend: Dr. M. Aebischer (Vorsitz), S. Käslin, T. Wyrsch, P. Imfeld (Protokoll). Entschuldigt: R. Gölz",
        "# Traktandum 1 Protokoll",
        "Das Protokoll der Sitzung vom 13. Februar 2024 wird genehmigt.",
        "# Traktandum 2 Umzug Archiv",
        "S. Käslin berichtet, dass der Archivraum an der Industriestrasse 8 ab 1. September 2024 bezogen werden kann. Die Umzugskosten werden auf Fr. 38 000 geschätzt. Beschluss: Der Umzug wird bewilligt. Verantwortlich: S. Käslin.",
        "# Traktandum 3 Parkplätze",
        "T. Wyrsch beantragt, die Parkplatzgebühr für Mitarbeitende von Fr. 45 auf Fr. 60 pro Monat zu erhöhen. Beschluss: Der Antrag wird zurückgestellt und an der Sitzung vom April nochmals beraten.",
        "# Traktandum 4 Digitalisierung",
        "Das Projekt eDossier verzögert sich um drei Monate. Der Produktivstart ist neu am 1. Oktober 2024 vorgesehen. Projektleiter ist T. Wyrsch.",
        "# Traktandum 5 Varia",
        "Der Betriebsausflug findet am 21. Juni 2024 statt und führt auf den Speer.",
    ],
)
docx(
    "protokolle/GL_2024-04-16.docx",
    "Protokoll der Geschäftsleitungssitzung vom 16. April 2024",
    [
        "Anwesend: Dr. M. Aebischer (Vorsitz), S. Käslin, R. Gölz, P. Imfeld (Protokoll). Entschuldigt: T. Wyrsch",
        "# Traktandum 1 Protokoll",
        "Das Protokoll der Sitzung vom 12. März 2024 wird mit einer Korrektur genehmigt.",
        "# Traktandum 2 Parkplätze",
        "Beschluss: Die Parkplatzgebühr für Mitarbeitende wird per 1. Juli 2024 von Fr. 45 auf Fr. 55 pro Monat erhöht. Der Antrag auf Fr. 60 wird mit 3 zu 1 Stimmen abgelehnt.",
        "# Traktandum 3 eDossier",
        "Der Produktivstart des eDossiers wird auf den 6. Januar 2025 verschoben. Neuer Projektleiter ist R. Gölz, da T. Wyrsch das Amt per Ende Mai verlässt.",
        "# Traktandum 4 Kantine",
        "Der Pachtvertrag mit der Gastro Linth GmbH wird um zwei Jahre bis 31. Dezember 2026 verlängert. Der Menüpreis bleibt bei Fr. 14.50.",
        "# Traktandum 5 Pendenzen",
        [
            ["Pendenz", "Verantwortlich", "Termin"],
            ["Beschaffung Höhenverstellbare Pulte", "Käslin", "30.06.2024"],
            ["Überarbeitung Notfallkonzept", "Gölz", "31.08.2024"],
            ["Ersatz Frankiermaschine", "Imfeld", "15.05.2024"],
        ],
    ],
)
odt(
    "protokolle/Baukommission_2024-05-07.odt",
    "Protokoll Baukommission vom 7. Mai 2024",
    [
        "Vorsitz: Gemeinderätin Flück. Protokoll: Herr Stöckli.",
        "# Gesuch 2024-031",
        "Bauherrschaft: Familie Hürlimann. Vorhaben: Anbau Wintergarten, Parzelle 1187. Entscheid: Bewilligt unter der Auflage, dass der Grenzabstand von vier Metern eingehalten wird.",
        "# Gesuch 2024-034",
        "Bauherrschaft: Garage Räber AG. Vorhaben: Neubau Waschanlage, Parzelle 902. Entscheid: Abgelehnt, weil das Lärmgutachten fehlt.",
        "# Gesuch 2024-036",
        "Bauherrschaft: Stockwerkeigentümer Seeblick. Vorhaben: Photovoltaikanlage auf dem Flachdach, Parzelle 455. Entscheid: Zurückgestellt bis zur Stellungnahme der Denkmalpflege.",
        "# Nächste Sitzung",
        "Die nächste Sitzung findet am 4. Juni 2024 um 18.30 Uhr im Gemeindesaal statt.",
    ],
)
rtf(
    "protokolle/Aktennotiz_Brandschutz.rtf",
    """Aktennotiz Brandschutzbegehung Verwaltungsgebäude

Datum: 22. Februar 2024
Teilnehmende: Frau Schärli (Gebäudeversicherung), Herr Späni (Hausdienst)

Im zweiten Untergeschoss sind drei Fluchtwege durch abgestellte Möbel verstellt. Die Möbel sind bis 15. März 2024 zu entfernen.
Die Feuerlöscher wurden letztmals im November 2019 geprüft; die Prüfung ist alle drei Jahre vorgeschrieben und somit überfällig.
Die Brandmeldeanlage funktioniert einwandfrei.
Die maximale Belegung des Sitzungszimmers Säntis beträgt 50 Personen.
""",
)
# ---------- mails ----------
eml(
    "mails/Re_Offerte_Reinigung.eml",
    "Simone Käslin <simone.kaeslin@tg.example>",
    "Peter Imfeld <peter.imfeld@tg.example>",
    "Re: Offerte Fensterreinigung",
    "Tue, 14 May 2024 09:12:00 +0200",
    """Lieber Peter

Einverstanden, bitte bestell die Fensterreinigung bei der Firma Blitzblank für Fr. 3'480. Der Termin am 10. Juni passt.

Gruss
Simone

Am 13.05.2024 um 16:40 schrieb Peter Imfeld:
> Liebe Simone
> Ich habe zwei Offerten für die Fensterreinigung: Blitzblank AG Fr. 3'480
> und Saubermann GmbH Fr. 4'120. Ich empfehle Blitzblank.
> Gruss, Peter
>
> Am 10.05.2024 schrieb Simone Käslin:
>> Kannst du bitte Offerten einholen? Budget maximal Fr. 4'000.
""",
)
eml(
    "mails/WG_Schluessel.eml",
    "Hausdienst <hausdienst@tg.example>",
    "Alle <alle@tg.example>",
    "Neue Schliessanlage ab 3. Juni",
    "Mon, 27 May 2024 08:00:00 +0200",
    """Liebe Kolleginnen und Kollegen

Am 3. Juni 2024 wird die Schliessanlage ausgewechselt. Bitte holt die neuen Badges zwischen dem 28. und 31. Mai
am Empfang ab. Mitzubringen sind der Personalausweis und der alte Schlüssel. Bei Verlust eines Badges werden
Fr. 80.- verrechnet.

Fragen an Werner Späni, Telefon 041 555 12 34.
""",
    ("Badgeliste.csv", "Bereich;Badgetyp;Zugang\nEmpfang;grün;06.00-20.00\nServerraum;rot;nur IT\nTiefgarage;blau;05.30-22.00\n".encode(), "csv"),
)
eml(
    "mails/Anfrage_Auskunft.eml",
    "Lea Brändli <lea.braendli@example.ch>",
    "Einwohneramt <einwohneramt@tg.example>",
    "AW: Adressauskunft Gesuch EA-2024-2291",
    "Thu, 6 Jun 2024 11:05:00 +0200",
    """Sehr geehrter Herr Odermatt

Danke. Ich ziehe das Gesuch EA-2024-2291 zurück.

Freundliche Grüsse
Lea Brändli

Von: Einwohneramt
Gesendet: Mittwoch, 5. Juni 2024
An: Lea Brändli
Betreff: Adressauskunft Gesuch EA-2024-2291

Sehr geehrte Frau Brändli
Für die Adressauskunft ist ein Interessennachweis nötig. Die Gebühr beträgt 15 Franken. Ohne Nachweis bis 20. Juni 2024 wird das Gesuch abgewiesen.
Freundliche Grüsse
Beat Odermatt
""",
)
eml(
    "mails/Salle_de_seance.eml",
    "Hélène Cœurdevey <h.coeurdevey@tg.example>",
    "R. Gölz <r.goelz@tg.example>",
    "Réservation de la salle",
    "Fri, 12 Apr 2024 14:00:00 +0200",
    """Bonjour Monsieur,

La séance du comité de pilotage est déplacée au jeudi 25 avril à 14 h 15, salle Léman. Merci d’apporter le budget révisé.
Le code d’accès de la salle est 7719.

Meilleures salutations
Hélène Cœurdevey
""",
)
eml(
    "mails/Lieferverzug.eml",
    "ICT Support <ict@tg.example>",
    "R. Gölz <r.goelz@tg.example>",
    "Delivery delay notebooks",
    "Wed, 3 Apr 2024 10:30:00 +0200",
    """Dear Mr Gölz

The 60 notebooks ordered under PO 4500-8812 will arrive on 29 April instead of 8 April. The supplier grants a discount of 4 percent.
Warranty is 36 months on-site.

Kind regards
Noah Achermann
""",
)
# ---------- FAQ ----------
html(
    "faq/einbuergerung.html",
    "Häufige Fragen zur Einbürgerung",
    """<h2>Wie lange muss ich in der Schweiz gelebt haben?</h2><p>Sie müssen insgesamt zehn Jahre in der Schweiz gelebt haben, davon drei in den letzten fünf Jahren vor dem Gesuch. Die Jahre zwischen dem 8. und dem 18. Altersjahr zählen doppelt.</p>
<h2>Wie lange muss ich im Kanton wohnen?</h2><p>Der Kanton Thalgau verlangt fünf Jahre Wohnsitz, davon zwei in der Gemeinde.</p>
<h2>Welche Unterlagen brauche ich?</h2><ul><li>Gesuchsformular, unterzeichnet</li><li>Niederlassungsbewilligung C (Kopie)</li><li>Sprachnachweis B1 mündlich und A2 schriftlich</li><li>Auszug aus dem Betreibungsregister, nicht älter als drei Monate</li><li>Lebenslauf</li></ul>
<h2>Was kostet die Einbürgerung?</h2><p>Die Kosten setzen sich aus 100 Franken Bundesgebühr, 700 Franken Kantonsgebühr und höchstens 1000 Franken Gemeindegebühr zusammen. Minderjährige bezahlen die Hälfte.</p>
<h2>Muss ich auf meine bisherige Staatsangehörigkeit verzichten?</h2><p>Nein, die Schweiz erlaubt die mehrfache Staatsangehörigkeit.</p>
<h2>Wie lange dauert das Verfahren?</h2><p>Rechnen Sie mit 18 bis 24 Monaten.</p>""",
)
html(
    "faq/baubewilligung.html",
    "Fragen und Antworten: Bauen",
    """<dl><dt>Brauche ich für ein Gartenhaus eine Bewilligung?</dt><dd>Gartenhäuser bis 10 m² Grundfläche und 2,50 m Höhe sind bewilligungsfrei.</dd><dt>Wie lange ist eine Baubewilligung gültig?</dt><dd>Die Baubewilligung erlischt, wenn nicht innert zwei Jahren mit dem Bau begonnen wird. Sie kann einmal um ein Jahr verlängert werden.</dd><dt>Wie lange liegt ein Baugesuch öffentlich auf?</dt><dd>Die öffentliche Auflage dauert 20 Tage.</dd><dt>Wer kann Einsprache erheben?</dt><dd>Einspracheberechtigt ist, wer durch das Vorhaben in schutzwürdigen Interessen berührt ist, namentlich Nachbarn im Umkreis von 100 Metern.</dd><dt>Wie viele Pläne muss ich einreichen?</dt><dd>Das Gesuch ist in vierfacher Ausführung einzureichen.</dd></dl>""",
)
# ---------- contracts ----------
docx(
    "vertraege/Mietvertrag_Archivraum.docx",
    "Mietvertrag Archivraum Industriestrasse 8",
    [
        "Vermieterin: Immobilien Tödi AG, Linthberg. Mieter: Kanton Thalgau, vertreten durch das Hochbauamt.",
        "1. Mietobjekt: Archivraum im Untergeschoss, 420 m², mit Klimaanlage.",
        "2. Der Mietzins beträgt Fr. 5 250.– pro Monat zuzüglich Nebenkosten von Fr. 640.– akonto.",
        "3. Mietbeginn ist der 1. August 2024. Der Vertrag ist fest bis 31. Juli 2034.",
        "4. Der Mieter leistet eine Kaution von drei Monatsmieten.",
        "5. Untermiete ist nur mit schriftlicher Zustimmung der Vermieterin zulässig.",
        "6. Kleine Reparaturen bis Fr. 200.– im Einzelfall gehen zulasten des Mieters.",
        "7. Der Mietzins ist indexiert und kann einmal jährlich an den Landesindex der Konsumentenpreise angepasst werden.",
    ],
)
pdf(
    "vertraege/Reinigungsvertrag.pdf",
    "Dienstleistungsvertrag Unterhaltsreinigung",
    [
        "Zwischen dem Hochbauamt des Kantons Thalgau (Auftraggeber) und der Putzfee Facility AG, Linthberg (Auftragnehmerin).",
        "# 1 Leistungen",
        "Die Auftragnehmerin reinigt die Büroflächen dreimal wöchentlich, die sanitären Anlagen täglich. Fensterreinigung ist nicht Gegenstand dieses Vertrages.",
        "# 2 Vergütung",
        [
            ["Objekt", "Fläche m²", "Pauschale Fr./Monat"],
            ["Verwaltungsgebäude Nord", "3200", "7850"],
            ["Verwaltungsgebäude Süd", "1450", "3900"],
            ["Polizeiposten", "600", "1780"],
        ],
        "# 3 Personal",
        "Die Auftragnehmerin setzt ausschliesslich Personal ein, das dem Gesamtarbeitsvertrag untersteht. Objektleiterin ist Frau Milica Jovanović.",
        "---",
        "# 4 Haftung",
        "Die Auftragnehmerin verfügt über eine Betriebshaftpflichtversicherung mit einer Deckungssumme von 10 Millionen Franken. Schlüsselverlust ist sofort, spätestens innert 24 Stunden zu melden.",
        "# 5 Dauer",
        "Der Vertrag beginnt am 1. Januar 2023 und kann unter Einhaltung einer Frist von vier Monaten auf Ende eines Quartals gekündigt werden.",
        "# 6 Gerichtsstand",
        "Gerichtsstand ist Linthberg.",
    ],
    "Vertrag Nr. HBA-2022-77",
    "Putzfee Facility AG / Kanton Thalgau – vertraulich",
)


# ---------- hospital ----------
def pat(p, title, b):
    docx("spital/patienten/" + p, title, b)


pat(
    "Mueller_Hans_Austrittsbericht.docx",
    "Austrittsbericht Müller Hans, geb. 04.03.1948",
    [
        "Spital Linthberg, Station B3, Fallnummer 24-10558",
        "Eintritt 02.02.2024, Austritt 11.02.2024",
        "# Diagnosen",
        "Akute Herzinsuffizienz NYHA III bei ischämischer Kardiomyopathie. Vorhofflimmern. Arterielle Hypertonie.",
        "# Medikation bei Austritt",
        [
            ["Medikament", "Dosis", "Einnahme"],
            ["Torasemid", "20 mg", "1-0-0-0"],
            ["Bisoprolol", "2.5 mg", "1-0-0-0"],
            ["Apixaban", "5 mg", "1-0-1-0"],
            ["Ramipril", "5 mg", "0-0-1-0"],
        ],
        "# Procedere",
        "Kontrolle der Nierenwerte beim Hausarzt Dr. Gwerder in einer Woche. Tägliche Gewichtskontrolle; bei Zunahme von mehr als 2 kg in drei Tagen Vorstellung. Das Austrittsgewicht betrug 81,4 kg.",
        "Allergie: Penicillin (Exanthem 1996).",
    ],
)
pat(
    "Mueller_Hans_Verlauf_Juni.docx",
    "Verlaufseintrag Müller Hans, geb. 04.03.1948",
    [
        "Ambulante Kontrolle vom 18.06.2024, Kardiologie",
        "Torasemid wird wegen Verschlechterung der Nierenfunktion von 20 mg auf 10 mg reduziert. Kreatinin 148 µmol/l. Apixaban unverändert. Bisoprolol wird auf 5 mg gesteigert. Nächste Kontrolle am 17.09.2024 bei Dr. med. Sarah Nüssli.",
    ],
)
pat(
    "Mueller_Heidi_Verlauf.docx",
    "Verlaufseintrag Müller Heidi, geb. 22.11.1971",
    [
        "Station C1, 19.06.2024",
        "Patientin nach Cholezystektomie am 17.06.2024, afebril. Schmerztherapie mit Metamizol 1 g viermal täglich. Drainage gezogen. Austritt geplant am 21.06.2024. Keine Allergien bekannt.",
    ],
)
txt(
    "spital/patienten/Keller_Ursula_Notiz.txt",
    """Pflegebericht Keller Ursula, geb. 15.07.1939, Station B3, Zimmer 312

05.04.2024 Patientin nach Sturz auf der Toilette um 03.20 Uhr gefunden, keine Verletzungen, Blutdruck 105/60 mmHg.
06.04.2024 Insulin Glargin von 14 auf 12 Einheiten abends reduziert, da Nüchternblutzucker 3,6 mmol/l.
08.04.2024 Dekubitus Grad 2 am Kreuzbein, 2 x 3 cm. Lagerung alle zwei Stunden.
10.04.2024 Angehörigengespräch mit Tochter (Frau Keller-Rüegg), Übertritt ins Pflegeheim Sonnmatt am 15.04.2024 vereinbart.
""",
    "cp1252",
)
pat(
    "Favre_Jean_lettre.docx",
    "Lettre de sortie – Favre Jean, né le 30.09.1955",
    [
        "Hôpital de Linthberg, service de pneumologie. Entrée le 08.01.2024, sortie le 16.01.2024.",
        "Diagnostic : exacerbation de BPCO stade GOLD III.",
        "Traitement à la sortie : prednisone 40 mg par jour pendant cinq jours, puis arrêt ; tiotropium 18 µg une fois par jour ; oxygène 2 l/min pendant la nuit.",
        "Le patient a arrêté de fumer le 8 janvier 2024. Contrôle de la fonction pulmonaire prévu le 12 février 2024 chez le Dr Béguelin.",
    ],
)
pat(
    "Bianchi_Carla_lettera.docx",
    "Lettera di dimissione – Bianchi Carla, nata il 12.05.1962",
    [
        "Ospedale di Linthberg, reparto di ortopedia. Ricovero dal 03.03.2024 al 09.03.2024.",
        "Diagnosi: frattura dell’anca sinistra, protesi totale il 4 marzo 2024.",
        "Terapia: enoxaparina 40 mg una volta al giorno per 35 giorni; paracetamolo 1 g tre volte al giorno. Carico parziale di 15 kg per sei settimane. Rimozione dei punti il 18 marzo 2024.",
    ],
)
docx(
    "spital/Hygienerichtlinie_MRSA.docx",
    "Hygienerichtlinie MRSA, Version 4.2",
    [
        "Gültig ab 1. Mai 2024, verantwortlich: Hygienefachfrau Doris Kläy",
        "# Screening",
        "Ein MRSA-Screening erfolgt bei Eintritt aus dem Ausland, aus Langzeitpflege und bei bekannter Besiedelung. Abstriche werden in Nase, Rachen und Leiste entnommen.",
        "# Isolation",
        "MRSA-positive Patienten werden im Einzelzimmer isoliert. Die Isolation wird aufgehoben, wenn drei aufeinanderfolgende Screenings im Abstand von mindestens 24 Stunden negativ sind.",
        "# Dekolonisation",
        "Die Dekolonisation dauert fünf Tage: Mupirocin-Nasensalbe dreimal täglich, Chlorhexidin-Waschlotion einmal täglich. Bettwäsche wird täglich gewechselt.",
        "# Händehygiene",
        "Die Einwirkzeit des Händedesinfektionsmittels beträgt 30 Sekunden.",
    ],
)
docx(
    "spital/Hygienerichtlinie_MRSA_v3.docx",
    "Hygienerichtlinie MRSA, Version 3.0",
    [
        "Gültig ab 1. März 2020, verantwortlich: Hygienefachmann Rolf Utzinger",
        "# Screening",
        "Ein MRSA-Screening erfolgt bei Eintritt aus dem Ausland. Abstriche werden in Nase und Leiste entnommen.",
        "# Isolation",
        "MRSA-positive Patienten werden isoliert. Die Isolation wird aufgehoben, wenn zwei aufeinanderfolgende Screenings im Abstand von mindestens 48 Stunden negativ sind.",
        "# Dekolonisation",
        "Die Dekolonisation dauert sieben Tage.",
    ],
)
xlsx(
    "spital/Telefonliste_2024.xlsx",
    [
        (
            "Station",
            [
                ["Funktion", "Name", "Telefon", "Pikett"],
                ["Stationsleitung B3", "Nadja Hösli", "6312", "nein"],
                ["Oberärztin Kardiologie", "Dr. Sarah Nüssli", "6405", "ja"],
                ["Hygiene", "Doris Kläy", "6120", "nein"],
                ["Sozialdienst", "Marco Frei", "6277", "nein"],
                ["Reanimation", "", "1111", "24 h"],
                ["Apotheke", "Dr. Jürg Ammann", "6550", "bis 18 Uhr"],
                ["Technischer Dienst", "Röbi Stadler", "6900", "24 h"],
            ],
        )
    ],
)
pdf(
    "spital/Insulinschema.pdf",
    "Korrekturschema Insulin – Station B3",
    [
        "Das Schema gilt für erwachsene Patienten ohne Ketoazidose. Kurz wirksames Insulin (Insulin aspart) subkutan vor dem Essen.",
        [
            ["Blutzucker mmol/l", "Einheiten s.c.", "Massnahme"],
            ["unter 4,0", "0", "Traubenzucker, Arzt informieren"],
            ["4,0–8,0", "0", "keine"],
            ["8,1–12,0", "2", "keine"],
            ["12,1–16,0", "4", "Kontrolle nach 2 h"],
            ["16,1–20,0", "6", "Kontrolle nach 2 h"],
            ["über 20,0", "8", "Arzt informieren"],
        ],
        "Bei Niereninsuffizienz (eGFR unter 30 ml/min) ist die halbe Dosis zu verabreichen. Verantwortlich für das Schema ist Dr. med. Yves Perrin, Diabetologie.",
        "---",
        "# Hypoglykämie",
        "Bei einem Blutzucker unter 4,0 mmol/l und wachem Patienten werden 20 g Traubenzucker verabreicht und der Blutzucker nach 15 Minuten kontrolliert. Bei bewusstlosem Patienten werden 40 ml Glucose 40 % intravenös oder 1 mg Glukagon intramuskulär verabreicht.",
    ],
    "Spital Linthberg – Klinische Weisung KW-014",
    "KW-014, Version 2, 15.01.2024",
)
txt(
    "spital/Dienstplan_Juli.csv",
    "Datum;Frühdienst;Spätdienst;Nachtdienst\n01.07.2024;Hösli;Tanner;Šimić\n02.07.2024;Hösli;Wüest;Šimić\n03.07.2024;Gerber;Tanner;Da Silva\n04.07.2024;Gerber;Wüest;Da Silva\n",
    "utf-8",
)
odt(
    "spital/Sturzpraevention.odt",
    "Standard Sturzprävention",
    [
        "Version vom 10. Oktober 2023",
        "# Assessment",
        "Das Sturzrisiko wird bei jedem Eintritt innert 24 Stunden mit der Morse-Skala erfasst. Ab 45 Punkten gilt das Risiko als hoch.",
        "# Massnahmen",
        "Bei hohem Risiko: Niedrigbett, Antirutschsocken, Klingelmatte und Beleuchtung nachts. Bettgitter dürfen nur mit ärztlicher Verordnung angebracht werden.",
        "# Meldung",
        "Jeder Sturz ist innert zwei Stunden im CIRS zu melden und die Angehörigen sind gleichentags zu informieren.",
    ],
)
docx(
    "spital/Besuchsregelung.docx",
    "Besuchsregelung Spital Linthberg",
    [
        "Besuchszeiten: täglich von 14.00 bis 20.00 Uhr, auf der Intensivstation von 15.00 bis 18.00 Uhr. Kinder unter 12 Jahren haben auf der Intensivstation nur nach Rücksprache Zutritt.",
        "Tagestaxe Parkhaus: 18 Franken. Ein Begleitbett kostet 65 Franken pro Nacht inklusive Frühstück.",
        "Haustiere sind nicht gestattet; Assistenzhunde ausgenommen.",
    ],
)
docx(
    "spital/Merkblatt_Patientenverfuegung.docx",
    "Merkblatt Patientenverfügung",
    [
        "Unter einer Patientenverfügung versteht man die schriftliche Anordnung einer urteilsfähigen Person, welchen medizinischen Massnahmen sie im Fall ihrer Urteilsunfähigkeit zustimmt oder nicht zustimmt.",
        "Sie muss datiert und eigenhändig unterschrieben sein. Eine notarielle Beglaubigung ist nicht nötig. Es wird empfohlen, sie alle zwei Jahre zu überprüfen.",
        "Als Vertrauensperson gilt die Person, die in der Verfügung namentlich bezeichnet ist; sie darf nicht dem behandelnden Team angehören.",
    ],
)
# ---------- misc ----------
docx(
    "amt/Weisung_Informationssicherheit.docx",
    "Weisung Informationssicherheit ISW-07",
    [
        "# Begriffe",
        "Als besonders schützenswerte Personendaten gelten Daten über die Gesundheit, die religiösen Ansichten, die Zugehörigkeit zu einer Ethnie sowie Massnahmen der sozialen Hilfe.",
        "# Passwörter",
        "Passwörter müssen mindestens 14 Zeichen lang sein und sind bei Verdacht auf Missbrauch unverzüglich zu ändern. Ein regelmässiger Wechsel wird nicht verlangt.",
        "# Verlust von Geräten",
        "Der Verlust eines mobilen Geräts ist dem Service Desk (Telefon 041 555 99 00) innert einer Stunde zu melden.",
        "# USB-Sticks",
        "Private USB-Sticks dürfen nicht an dienstlichen Geräten verwendet werden.",
        "# Meldung von Datenschutzverletzungen",
        "Verletzungen der Datensicherheit sind innert 72 Stunden der Datenschutzbeauftragten, Frau lic. iur. Brigitte Zürcher, zu melden.",
    ],
)
docx(
    "amt/Merkblatt_Fischerei.docx",
    "Merkblatt Fischereipatente 2024",
    [
        [
            ["Patent", "Einheimische Fr.", "Auswärtige Fr."],
            ["Tagespatent", "25", "40"],
            ["Wochenpatent", "70", "110"],
            ["Jahrespatent", "220", "380"],
            ["Jugendpatent (bis 16)", "60", "90"],
        ],
        "Das Schonmass der Bachforelle beträgt 24 cm, jenes der Äsche 35 cm. Die Schonzeit der Bachforelle dauert vom 1. Oktober bis 15. März.",
        "Pro Tag dürfen höchstens sechs Edelfische gefangen werden. Für den Bezug eines Patentes ist der Sachkundenachweis (SaNa) vorzulegen.",
    ],
)
txt(
    "amt/Anleitung_Kopierer.txt",
    """ANLEITUNG MULTIFUNKTIONSGERÄT 3. OG

Papierstau: Klappe B öffnen, grünen Hebel nach links drücken, Papier herausziehen.
Toner wird automatisch nachbestellt, sobald der Füllstand unter 10 % fällt.
Vertrauliche Ausdrucke: PIN am Gerät eingeben; nicht abgeholte Aufträge werden nach 12 Stunden gelöscht.
Störungen: Firma Tonerfix, Hotline 0800 555 333, Kundennummer 77-2041.
""",
    "utf-16",
)
docx(
    "amt/Subventionen_Energie.docx",
    "Förderprogramm Energie 2024",
    [
        "Gesuche müssen vor Baubeginn eingereicht werden. Nachträglich eingereichte Gesuche werden nicht behandelt.",
        [
            ["Massnahme", "Beitrag", "Maximum"],
            ["Ersatz Ölheizung durch Wärmepumpe", "Fr. 4000 + Fr. 60 pro kW", "Fr. 10 000"],
            ["Dämmung Dach", "Fr. 60 pro m²", "Fr. 15 000"],
            ["Anschluss Fernwärme", "Fr. 3500", "Fr. 3500"],
            ["Ladestation Elektrofahrzeug", "Fr. 500", "Fr. 5000 pro Liegenschaft"],
        ],
        "Die Beitragszusicherung ist zwei Jahre gültig. Die Auszahlung erfolgt nach Einreichung der Schlussrechnung und des Inbetriebnahmeprotokolls.",
        "Ansprechpartner: Energiefachstelle, Herr Valentin Grüter, Telefon 041 555 66 20.",
    ],
)
pdf(
    "amt/Entscheid_Rekurs_2023_118.pdf",
    "Entscheid der Rekurskommission RK 2023/118 vom 5. Oktober 2023",
    [
        "in Sachen Helvetia Bau GmbH gegen Gemeinde Oberlinth betreffend Lärmschutzauflage",
        "# Sachverhalt",
        "A. Am 12. April 2023 verfügte die Gemeinde Oberlinth, dass auf der Baustelle Sonnenhalde zwischen 12.00 und 13.00 Uhr keine lärmigen Arbeiten ausgeführt werden dürfen. B. Dagegen erhob die Helvetia Bau GmbH am 2. Mai 2023 Rekurs.",
        "# Erwägungen",
        "1. Der Rekurs wurde fristgerecht eingereicht. 2. Die Baustelle liegt in der Empfindlichkeitsstufe II. Die Mittagsruhe ist in Art. 14 des Polizeireglements vorgesehen und verhältnismässig. 3. Die Kosten trägt die unterliegende Partei.",
        "---",
        "# Entscheid",
        "1. Der Rekurs wird abgewiesen. 2. Die Verfahrenskosten von Fr. 1 200.– werden der Rekurrentin auferlegt. 3. Gegen diesen Entscheid kann innert 30 Tagen Beschwerde beim Verwaltungsgericht erhoben werden.",
    ],
    "Rekurskommission Kanton Thalgau",
    "RK 2023/118",
)
docx(
    "amt/Stellenbeschrieb_Sachbearbeitung.docx",
    "Stellenbeschrieb Sachbearbeiterin Einwohnerdienste",
    [
        "Pensum: 80 Prozent. Lohnklasse 11. Stellvertretung: Beat Odermatt.",
        "Die Stelleninhaberin ist der Leiterin Einwohnerdienste, Frau Corinne Läubli, unterstellt.",
        "Anforderungen: kaufmännische Grundbildung, drei Jahre Berufserfahrung, Französisch Niveau B2.",
    ],
)
open(P("amt/Oeffnungszeiten.md"), "w").write("""# Öffnungszeiten Schalter

| Amt | Montag | Dienstag–Donnerstag | Freitag |
|---|---|---|---|
| Einwohneramt | 8–18 Uhr | 8–12 und 14–17 Uhr | 8–15 Uhr |
| Steueramt | 9–12 Uhr | 9–12 und 14–16 Uhr | geschlossen |
| Strassenverkehrsamt | 7.30–16.30 Uhr | 7.30–16.30 Uhr | 7.30–15 Uhr |

Am 24. und 31. Dezember schliessen alle Schalter um 12 Uhr.
""")
docx(
    "amt/Rundschreiben_Abstimmung.docx",
    "Rundschreiben zur Volksabstimmung vom 22. September 2024",
    [
        "Das Stimmmaterial ist den Stimmberechtigten frühestens vier und spätestens drei Wochen vor dem Abstimmungstag zuzustellen.",
        "Die briefliche Stimmabgabe ist nur gültig, wenn der Stimmrechtsausweis unterschrieben ist. Das Stimmcouvert muss bis spätestens Sonntag, 10.00 Uhr, bei der Gemeinde eingetroffen sein.",
        "Das Stimmbüro zählt mindestens fünf Mitglieder. Pro Mitglied wird ein Sitzungsgeld von Fr. 35.– je Stunde ausgerichtet.",
    ],
)
n = sum(len(f) for _, _, f in os.walk(R))
print(n, "files")
