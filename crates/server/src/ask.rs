//! `POST /v1/ask`: an answer as server-sent events.
//!
//! Events, in order: `passages` (`{passages}`), `preview` (`{sentences}`, quoted from the passages while the model reads
//! them; provisional), any number of `delta` (`{text}`, a draft not checked yet) and `sentence` (a checked sentence),
//! then one `answer` (the whole, the shape of `fontes ask --json`), or `error`. A reader who goes away cancels the generation within one token.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use fontes_core::{Cancel, Error, Filter, Result as CoreResult, Sampling, SearchChoice};
use fontes_generation::{AskEvent, check_question};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    failure,
    failure::Failure,
    search::at_least_one,
    site::{Ask, Site},
};

/// Longest answer a request may ask for, in tokens.
const MAX_TOKENS: usize = 1024;

/// Events that wait for a slow reader before the generator does.
const WAITING_EVENTS: usize = 256;

/// The request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskBody {
    question: String,
    k: Option<usize>,
    #[serde(default)]
    filter: Vec<String>,
    max_tokens: Option<usize>,
    /// Earlier questions of the conversation, oldest first.
    #[serde(default)]
    earlier: Vec<String>,
    /// How is searched, where it is to differ from the site's way.
    #[serde(default)]
    search: SearchChoice,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    temperature: f32,
}

/// Answers as the default principal.
pub async fn ask(
    State(site): State<Arc<Site>>,
    Json(body): Json<AskBody>,
) -> Result<Sse<impl Stream<Item = Result<Event, std::convert::Infallible>>>, Failure> {
    let ask = asked(&site, &body)?;
    let permit = site.enter()?;
    let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
    tokio::task::spawn_blocking(move || {
        let _at_work = permit;
        let outbox = Outbox { sender, cancel: Cancel::default() };
        if let Err(error) = answer(&site, &ask, &outbox) {
            outbox.send("error", &failure::body(&error));
        }
    });
    let events = stream::unfold(receiver, async |mut receiver| Some((Ok(receiver.recv().await?), receiver)));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Where events go; a reader who has gone away cancels the work.
struct Outbox {
    sender: mpsc::Sender<Event>,
    cancel: Cancel,
}

impl Outbox {
    fn send(&self, name: &str, content: &impl Serialize) {
        let sent =
            Event::default().event(name).json_data(content).is_ok_and(|event| self.sender.blocking_send(event).is_ok());
        if !sent {
            self.cancel.cancel();
        }
    }
}

/// What a request asks for. All that is wrong with it is told here, before the stream begins.
fn asked(site: &Site, body: &AskBody) -> CoreResult<Ask> {
    check_question(&body.question)?;
    if !Sampling::TEMPERATURES.contains(&body.temperature) {
        return Err(Error::invalid("temperature is not between 0 and 2").advise("0 is greedy, the usual"));
    }
    let usual = Ask::new(body.question.as_str());
    Ok(Ask {
        k: at_least_one(body.k.unwrap_or(usual.k))?,
        filter: Filter::of(&body.filter)?,
        sampling: Sampling { seed: body.seed, temperature: body.temperature, ..Sampling::default() },
        earlier: body.earlier.clone(),
        max_tokens: body.max_tokens.unwrap_or(usual.max_tokens).min(MAX_TOKENS),
        preview: true,
        search: Some(body.search.over(site.search_settings())?),
        ..usual
    })
}

/// Searches, answers, and hands every step to the outbox.
fn answer(site: &Site, ask: &Ask, outbox: &Outbox) -> CoreResult<()> {
    let mut on_event = |event: AskEvent<'_>| match event {
        AskEvent::Passages(passages) => outbox.send("passages", &json!({ "passages": passages })),
        AskEvent::Preview(sentences) => outbox.send("preview", &json!({ "sentences": sentences })),
        AskEvent::Draft(text) => outbox.send("delta", &json!({ "text": text })),
        AskEvent::Sentence(sentence) => outbox.send("sentence", sentence),
        AskEvent::Done(answer) => outbox.send("answer", answer),
    };
    site.answer(ask, &site.scope()?, &mut on_event, &outbox.cancel)?;
    Ok(())
}
