// The page: sends a question, shows the streamed answer, opens citations. Text only ever enters the page as
// text nodes, so nothing a document or a model says can become markup.
"use strict";

const TEXTS = {
  en: { tagline: "Ask your documents. Every sentence names its source.", question: "Question", ask: "Ask", stop: "Stop",
        answer: "Answer", sources: "Sources", close: "Close", page: "page", pages: "pages", searching: "Searching …", reading: "Quoted while the model reads …",
        writing: "Writing …", abstained: "The closest passages are below.",
        extractive: "Quoted from the sources; no language model is installed.", stopped: "Stopped.",
        failed: "That did not work", open: "Open source", unsupported: "not supported by the sources", alsoIn: "also in",
        everything: "all", language: "Language", source: "Source", media_type: "Type", index: "index state" },
  de: { tagline: "Fragen Sie Ihre Dokumente. Jeder Satz nennt seine Quelle.", question: "Frage", ask: "Fragen", stop: "Anhalten",
        answer: "Antwort", sources: "Quellen", close: "Schliessen", page: "Seite", pages: "Seiten", searching: "Suche …", reading: "Zitiert, während das Modell liest …",
        writing: "Antwort entsteht …", abstained: "Die nächstliegenden Stellen stehen unten.",
        extractive: "Wörtlich aus den Quellen; kein Sprachmodell ist installiert.", stopped: "Angehalten.",
        failed: "Das hat nicht geklappt", open: "Quelle öffnen", unsupported: "durch die Quellen nicht gestützt", alsoIn: "auch in",
        everything: "alle", language: "Sprache", source: "Ablage", media_type: "Art", index: "Indexstand" },
  fr: { tagline: "Interrogez vos documents. Chaque phrase cite sa source.", question: "Question", ask: "Demander", stop: "Arrêter",
        answer: "Réponse", sources: "Sources", close: "Fermer", page: "page", pages: "pages", searching: "Recherche …", reading: "Cité pendant que le modèle lit …",
        writing: "Rédaction …", abstained: "Les passages les plus proches suivent.",
        extractive: "Cité mot pour mot ; aucun modèle de langue n’est installé.", stopped: "Arrêté.",
        failed: "Cela n’a pas fonctionné", open: "Ouvrir la source", unsupported: "non étayé par les sources", alsoIn: "aussi dans",
        everything: "tout", language: "Langue", source: "Fonds", media_type: "Type", index: "état de l’index" },
  it: { tagline: "Interroghi i Suoi documenti. Ogni frase indica la fonte.", question: "Domanda", ask: "Chiedere", stop: "Fermare",
        answer: "Risposta", sources: "Fonti", close: "Chiudere", page: "pagina", pages: "pagine", searching: "Ricerca …", reading: "Citato mentre il modello legge …",
        writing: "Risposta in corso …", abstained: "Seguono i passaggi più vicini.",
        extractive: "Citato testualmente; nessun modello linguistico è installato.", stopped: "Fermato.",
        failed: "Non ha funzionato", open: "Aprire la fonte", unsupported: "non sostenuto dalle fonti", alsoIn: "anche in",
        everything: "tutto", language: "Lingua", source: "Fondo", media_type: "Tipo", index: "stato dell’indice" },
};
// What a reader should know about an answer, by the kinds of `core::Remark`; `%` stands for markers, a number or a question.
const REMARKS = {
  en: { quoted_instead: "What the language model wrote does not hold against the sources; they are quoted instead.",
        generator_silent: "The language model found nothing; the sources probably do say it and are quoted.",
        left_out: "Sentences left out, carried by no source or beside the question: %", conflict: "These sources contradict each other, compare them yourself: %",
        hidden_text: "This passage contains invisible text, which was removed: %", understood: "Understood as: %", confidence: "confidence %",
        not_rewritten: "The model did not rewrite the question in time; it was searched for as it stands.", searched: "Searched for one by one: %",
        replaced: "Says of itself that it was replaced or is no longer in force: %",
        not_said: "The sources do not say: %" },
  de: { quoted_instead: "Was das Sprachmodell schrieb, hält vor den Quellen nicht stand; sie sind wörtlich zitiert.",
        generator_silent: "Das Sprachmodell fand nichts; die Quellen sagen es wohl doch und sind wörtlich zitiert.",
        left_out: "Weggelassene Sätze, von keiner Quelle getragen oder neben der Frage: %", conflict: "Diese Quellen widersprechen sich, bitte selbst vergleichen: %",
        hidden_text: "Diese Stelle enthält unsichtbaren Text, der entfernt wurde: %", understood: "Verstanden als: %", confidence: "Zuversicht %",
        not_rewritten: "Das Sprachmodell hat die Frage nicht rechtzeitig umformuliert; gesucht wurde mit der Frage selbst.", searched: "Einzeln gesucht: %",
        replaced: "Sagt von sich selbst, dass es ersetzt oder aufgehoben ist: %",
        not_said: "Dazu sagen die Quellen nichts: %" },
  fr: { quoted_instead: "Ce que le modèle a écrit ne tient pas devant les sources ; elles sont citées mot pour mot.",
        generator_silent: "Le modèle n’a rien trouvé ; les sources le disent sans doute et sont citées mot pour mot.",
        left_out: "Phrases écartées, sans source ou à côté de la question : %", conflict: "Ces sources se contredisent, à comparer vous-même : %",
        hidden_text: "Ce passage contient du texte invisible, qui a été retiré : %", understood: "Compris comme : %", confidence: "confiance %",
        not_rewritten: "Le modèle n’a pas reformulé la question à temps ; la recherche s’est faite avec la question même.", searched: "Recherché séparément : %",
        replaced: "Se dit lui-même remplacé ou abrogé : %",
        not_said: "Les sources n’en disent rien : %" },
  it: { quoted_instead: "Ciò che il modello ha scritto non regge davanti alle fonti; sono citate testualmente.",
        generator_silent: "Il modello non ha trovato nulla; le fonti probabilmente lo dicono e sono citate testualmente.",
        left_out: "Frasi tralasciate, senza fonte o fuori tema: %", conflict: "Queste fonti si contraddicono, da confrontare di persona: %",
        hidden_text: "Questo passaggio contiene testo invisibile, che è stato rimosso: %", understood: "Inteso come: %", confidence: "fiducia %",
        not_rewritten: "Il modello non ha riformulato la domanda in tempo; si è cercata la domanda stessa.", searched: "Cercato separatamente: %",
        replaced: "Dice di sé di essere sostituito o abrogato: %",
        not_said: "Le fonti non dicono nulla su: %" },
};
const language = (navigator.languages || ["en"]).map((tag) => tag.slice(0, 2)).find((tag) => TEXTS[tag]) || "en";
const say = (key) => TEXTS[language][key];
const remark = (kind, value = "") => REMARKS[language][kind].replace("%", () => value);
const byId = (id) => document.getElementById(id);
const element = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

document.documentElement.lang = language;
for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
offerNarrowing();

let running = null;
// Earlier questions of this conversation, so that a follow-up can lean on them; a reload begins a new one.
const earlier = [];
const MOST_EARLIER = 4;

byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = byId("question").value.trim();
  if (question === "" || running) return;
  running = new AbortController();
  begin();
  try {
    await stream(question, running.signal);
    earlier.push(question);
    if (earlier.length > MOST_EARLIER) earlier.shift();
  } catch (error) {
    if (error.name === "AbortError") state(say("stopped"));
    else state(`${say("failed")}: ${error.message}`, true);
  } finally {
    running = null;
    byId("send").disabled = false;
    byId("stop").hidden = true;
    byId("sentences").setAttribute("aria-busy", "false");
  }
});
byId("stop").addEventListener("click", () => running && running.abort());
byId("close").addEventListener("click", () => byId("reader").close());

function begin() {
  byId("send").disabled = true;
  byId("stop").hidden = false;
  byId("answer").hidden = true;
  byId("sources").hidden = true;
  byId("sentences").replaceChildren();
  byId("sentences").setAttribute("aria-busy", "true");
  byId("passages").replaceChildren();
  byId("remarks").hidden = true;
  byId("record").textContent = "";
  state(say("searching"));
}

function state(text, failed = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("error", failed);
}

// One choice per field of which the documents have several values. A failure costs the choices, not the page.
async function offerNarrowing() {
  const reply = await fetch("/v1/facets").catch(() => null);
  if (!reply || !reply.ok) return;
  const { facets } = await reply.json();
  const fields = ["source", "media_type", "language"].map((field) => facets.filter((facet) => facet.field === field));
  byId("narrow").replaceChildren(...fields.filter((values) => values.length > 1).map((values) => {
    const { field } = values[0];
    const choice = (facet) => element("option", { value: `${field}=${facet.value}` }, `${valueText(facet)} (${facet.documents})`);
    const choices = element("select", {}, element("option", { value: "" }, say("everything")), ...values.map(choice));
    return element("label", {}, say(field), choices);
  }));
  byId("narrow").hidden = byId("narrow").childElementCount === 0;
}

function chosen() {
  return [...byId("narrow").querySelectorAll("select")].map((select) => select.value).filter((value) => value !== "");
}

function valueText({ field, value }) {
  if (field === "language") return new Intl.DisplayNames([language], { type: "language", fallback: "code" }).of(value);
  if (field !== "media_type") return value;
  const kinds = { wordprocessingml: "Word", spreadsheetml: "Excel", "sheet.binary": "Excel", presentationml: "PowerPoint", msword: "Word 97",
                  "ms-excel": "Excel 97", "ms-powerpoint": "PowerPoint 97", "ms-outlook": "Outlook", hl7: "HL7", fhir: "FHIR", plain: "Text",
                  "opendocument.text": "Writer", "opendocument.spreadsheet": "Calc", "opendocument.presentation": "Impress", rfc822: "Mail" };
  const kind = Object.keys(kinds).find((part) => value.includes(part));
  return kind ? kinds[kind] : value.replace(/^.*\/(x-)?/, "").toUpperCase();
}

// Server-sent events over POST (EventSource can only GET).
async function stream(question, signal) {
  const reply = await fetch("/v1/ask", {
    method: "POST", signal,
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ question, earlier, filter: chosen() }),
  });
  if (!reply.ok) {
    const problem = await reply.json().catch(() => ({}));
    throw new Error(problem.error ? problem.error.message : reply.statusText);
  }
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) receive(block);
  }
}

function receive(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length === 0) return;
  const content = JSON.parse(data.join("\n"));
  if (name === "passages") showPassages(content.passages);
  else if (name === "preview") showPreview(content.sentences);
  else if (name === "delta") showDelta(content.text);
  else if (name === "answer") showAnswer(content);
  else if (name === "error") throw new Error(content.error.message);
}

// What the sources say word for word, until the model has read them.
function showPreview(quoted) {
  if (quoted.length === 0) return;
  byId("answer").hidden = false;
  byId("sentences").replaceChildren(element("span", { className: "preview" }, quoted.map((one) => `“${one.text}”`).join(" ")));
  state(say("reading"));
}

function showDelta(text) {
  const preview = byId("sentences").querySelector(".preview");
  if (preview) preview.remove();
  byId("answer").hidden = false;
  state(say("writing"));
  byId("sentences").append(text);
}

function showAnswer(answer) {
  byId("answer").hidden = false;
  const sentences = byId("sentences");
  sentences.replaceChildren();
  if (answer.sentences.length === 0) sentences.append(answer.answer || say("abstained"));
  for (const sentence of answer.sentences) {
    const text = element("span", {}, ...pointed(sentence));
    if (sentence.support === "unsupported") { text.className = "unsupported"; text.title = say("unsupported"); }
    // Quotes of different places do not make one text.
    const part = element("span", { className: answer.extractive ? "quote" : "" }, text);
    for (const citation of sentence.citations) part.append(citeButton(citation));
    sentences.append(part, " ");
  }
  showRemarks(answer);
  showPassages(answer.passages, answer.sentences.flatMap((sentence) => sentence.citations));
  const instead = answer.remarks.some((one) => ["quoted_instead", "generator_silent"].includes(one.kind));
  state(answer.abstained ? answer.passages.length > 0 ? say("abstained") : "" : answer.extractive && !instead ? say("extractive") : "");
  const seconds = (answer.timings_ms.total / 1000).toFixed(1);
  const confidence = remark("confidence", `${Math.round(100 * answer.confidence)} %`);
  byId("record").textContent = `${answer.model.name} · ${confidence} · ${seconds} s · ${say("index")} ${answer.index_snapshot}`;
}

// The text of a sentence, with the answer in it strong where it is known.
function pointed(sentence) {
  const citation = sentence.citations.find((one) => one.answer);
  if (!citation) return [sentence.text];
  const bytes = new TextEncoder().encode(citation.quote);
  const { start, end } = citation.answer;
  const answer = new TextDecoder().decode(bytes.slice(start - citation.span.start, end - citation.span.start)).replace(/\s+/g, " ");
  const at = sentence.text.indexOf(answer);
  if (answer === "" || at < 0) return [sentence.text];
  return [sentence.text.slice(0, at), element("strong", {}, answer), sentence.text.slice(at + answer.length)];
}

function showRemarks(answer) {
  const markers = (list) => list.map((marker) => `[${marker}]`).join("");
  const lines = answer.remarks.map((one) => {
    if (one.kind === "conflict" || one.kind === "replaced") return remark(one.kind, markers(one.markers));
    if (one.kind === "hidden_text") return remark(one.kind, markers([one.marker]));
    return remark(one.kind, one.question || one.sentences);
  });
  const parts = (answer.queries || []).filter((one) => ["part", "rewritten"].includes(one.kind));
  if (parts.length) lines.unshift(remark("searched", parts.map((one) => one.text).join(" · ")));
  if (answer.standalone) lines.unshift(remark("understood", answer.standalone));
  byId("remarks").hidden = lines.length === 0;
  byId("remarks").replaceChildren(...lines.map((line) => element("li", {}, line)));
}

function citeButton(citation) {
  const place = citation.date ? `${pagesText(citation.pages)}, ${citation.date}` : pagesText(citation.pages);
  const button = element("button", { type: "button", className: "cite", title: `${citation.title}, ${place}` }, `[${citation.marker}]`);
  button.setAttribute("aria-label", `${say("open")} ${citation.marker}: ${citation.title}, ${place}`);
  button.addEventListener("click", () => openDocument(citation.document_id, citation.span, citation.title, citation.pages));
  return button;
}

function showPassages(passages, citations = []) {
  byId("sources").hidden = passages.length === 0;
  byId("passages").replaceChildren(...passages.map((passage) => {
    const cited = citations.filter((citation) => citation.marker === passage.marker);
    const title = element("button", { type: "button", className: "title" }, `[${passage.marker}] ${passage.title}`);
    title.addEventListener("click", () => openDocument(passage.document_id, cited[0] ? cited[0].span : passage.span, passage.title, passage.pages));
    const dates = cited.slice(0, 1).map((citation) => citation.date).filter(Boolean);
    const place = [...dates, pagesText(passage.pages), ...passage.heading].join(" · ");
    const quote = element("blockquote");
    quote.append(...marked(passage.text, passage.span.start, cited.map((citation) => citation.span)));
    return element("li", { className: cited.length ? "cited" : "" }, title, element("div", { className: "record" }, place), ...others(passage), quote);
  }));
  for (const mark of byId("passages").querySelectorAll("li mark:first-of-type")) {
    const quote = mark.parentElement;
    quote.scrollTop = mark.offsetTop - quote.offsetTop - quote.clientHeight / 3;
  }
}

// The other places that say what a passage says; only places that whoever asks may see.
function others(passage) {
  if (!passage.also_in) return [];
  const links = passage.also_in.flatMap((other, at) => {
    const link = element("button", { type: "button", className: "other", title: other.path }, `${other.title}, ${pagesText(other.pages)}`);
    link.addEventListener("click", () => openDocument(other.document_id, other.span, other.title, other.pages));
    return at > 0 ? ["; ", link] : [link];
  });
  return [element("div", { className: "record" }, `${say("alsoIn")} `, ...links)];
}

function pagesText(pages) {
  if (pages.length < 2) return `${say("page")} ${pages[0] || 1}`;
  return `${say("pages")} ${pages[0]}–${pages[pages.length - 1]}`;
}

async function openDocument(id, span, title, pages) {
  const reply = await fetch(`/v1/documents/${encodeURIComponent(id)}?page=${pages[0] || 1}`);
  if (!reply.ok) return state(`${say("failed")}: ${reply.status}`, true);
  const shown = await reply.json();
  const page = shown.pages[0];
  byId("reader-title").textContent = title;
  byId("reader-place").textContent = `${shown.document.path} · ${pagesText([page.number])}`;
  byId("reader-text").replaceChildren(...marked(page.text, page.span.start, [span]));
  byId("reader").showModal();
  const first = byId("reader-text").querySelector("mark");
  if (first) first.scrollIntoView({ block: "center" });
}

// Splits `text`, which starts at byte `offset` of the stored text, so that the byte spans are marked.
function marked(text, offset, spans) {
  const bytes = new TextEncoder().encode(text);
  const decode = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
  const nodes = [];
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const start = Math.max(span.start - offset, at);
    const end = Math.min(span.end - offset, bytes.length);
    if (end <= start) continue;
    nodes.push(decode(at, start), element("mark", {}, decode(start, end)));
    at = end;
  }
  nodes.push(decode(at, bytes.length));
  return nodes;
}
