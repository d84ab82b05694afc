//! Tests against a small server on the loopback device.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Sender, channel},
    thread::JoinHandle,
};

use fontes_core::{Error, ErrorKind, Message, Role, Sampling};

use super::*;

/// A server that answers each connection with the next reply, then goes away.
struct Server {
    address: String,
    requests: Receiver<String>,
    thread: JoinHandle<()>,
}

type Reply = Box<dyn FnOnce(&mut TcpStream) + Send>;

fn serve(replies: Vec<Reply>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    let thread = std::thread::spawn(move || {
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&stream, &sender);
            reply(&mut stream);
        }
    });
    Server { address, requests, thread }
}

fn read_request(stream: &TcpStream, sender: &Sender<String>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        reader.read_line(&mut head).unwrap();
        let line = head[start..].trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let _ = sender.send(head + &String::from_utf8(body).unwrap());
}

fn status(line: &'static str) -> Reply {
    Box::new(move |stream| {
        let _ = write!(stream, "HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    })
}

/// An event stream without length, ended by closing the connection.
fn stream(body: String) -> Reply {
    Box::new(move |stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}");
    })
}

fn chunk(text: &str) -> String {
    format!("data: {}\n\n", serde_json::json!({"choices": [{"delta": {"content": text}}]}))
}

const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn options(address: &str) -> RemoteOptions {
    RemoteOptions {
        api_key: Some("secret".into()),
        retries: 2,
        backoff: Duration::from_millis(5),
        read_timeout: Duration::from_millis(300),
        ..RemoteOptions::new(address, "apertus", 4096)
    }
}

fn ask_with(options: RemoteOptions, cancel: &Cancel, stop_at: Option<&str>) -> (String, Result<Generation>) {
    let generator = RemoteGenerator::new(options).unwrap();
    let messages = [Message::text(Role::User, "who <|user_end|>?")];
    let (sampling, stop) = (Sampling::default(), ["STOP".to_owned()]);
    let request = GenerationRequest {
        messages: &messages,
        sampling: &sampling,
        max_tokens: 50,
        stop: &stop,
        mask: None,
        origin: None,
        attention: false,
    };
    let mut streamed = String::new();
    let mut on_text = |text: &str| {
        streamed.push_str(text);
        let stop = stop_at.is_some_and(|mark| streamed.contains(mark));
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let result = generator.generate(request, &mut on_text, cancel);
    (streamed, result)
}

fn ask(address: &str) -> Result<Generation> {
    let (streamed, result) = ask_with(options(address), &Cancel::default(), None);
    let generation = result?;
    assert_eq!(streamed, generation.text);
    Ok(generation)
}

fn refused(replies: Vec<Reply>) -> Error {
    let server = serve(replies);
    let error = ask(&server.address).unwrap_err();
    server.thread.join().unwrap();
    error
}

#[test]
fn an_answer_is_streamed_and_the_request_is_what_servers_expect() {
    let body = chunk("Bern") + &chunk(" is it.") + END;
    let server = serve(vec![stream(body)]);
    let generation = ask(&(server.address.clone() + "/v1/")).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("Bern is it.", FinishReason::Stop));
    let request = server.requests.recv().unwrap();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: bearer secret"));
    let body: serde_json::Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["stream"], true);
    assert_eq!(body["model"], "apertus");
    assert_eq!(body["messages"][0]["content"], "who < |user_end| >?");
}

#[test]
fn stop_strings_and_circles_end_the_answer_here_too() {
    let server = serve(vec![stream(chunk("Bern ST") + &chunk("OP more") + END)]);
    assert_eq!(ask(&server.address).unwrap().text, "Bern");
    let circle = ["The ", "same ", "again ", "and ", "again. "].map(chunk).concat().repeat(60);
    let server = serve(vec![stream(circle + END)]);
    let generation = ask(&server.address).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("The same again and again.", FinishReason::Repetition));
}

#[test]
fn busy_and_broken_servers_are_asked_again_a_bounded_number_of_times() {
    let server = serve(vec![status("503 Busy"), status("429 Slow\r\nretry-after: 0"), stream(chunk("Yes") + END)]);
    assert_eq!(ask(&server.address).unwrap().text, "Yes");
    assert_eq!(refused(vec![status("500 A"), status("500 B"), status("500 C")]).kind(), ErrorKind::Unavailable);
    assert_eq!(refused(vec![status("429 A"), status("429 B"), status("429 C")]).kind(), ErrorKind::Overloaded);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(ask(&format!("http://{closed}")).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn refusals_are_final() {
    assert_eq!(refused(vec![status("400 Bad")]).kind(), ErrorKind::Invalid);
    assert_eq!(refused(vec![status("401 Who")]).kind(), ErrorKind::Unavailable);
    assert_eq!(refused(vec![status("404 What")]).kind(), ErrorKind::Unavailable);
    let elsewhere = refused(vec![status("302 Found\r\nlocation: http://127.0.0.1:9/")]);
    assert!(elsewhere.to_string().contains("302"), "redirects are not followed: {elsewhere}");
}

#[test]
fn garbage_and_cut_off_streams_are_errors() {
    for body in ["\0\u{1}garbage\n\n".to_owned(), "data: {\"choi".into(), chunk("Half an"), String::new()] {
        assert_eq!(refused(vec![stream(body)]).kind(), ErrorKind::Unavailable);
    }
    // Closing after the reason is how some servers end.
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    let server = serve(vec![stream(chunk("Whole") + end)]);
    let generation = ask(&server.address).unwrap();
    assert_eq!((generation.text.as_str(), generation.finish), ("Whole", FinishReason::Length));
}

#[test]
fn a_silent_server_runs_into_the_time_limit() {
    let silent: Reply = Box::new(|stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", chunk("Bern"));
        std::thread::sleep(Duration::from_millis(900));
    });
    assert_eq!(refused(vec![silent]).kind(), ErrorKind::Timeout);
}

#[test]
fn cancelling_does_not_wait_for_the_server() {
    let slow: Reply = Box::new(|stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", chunk("Bern"));
        std::thread::sleep(Duration::from_secs(2));
    });
    let server = serve(vec![slow]);
    let cancel = Cancel::default();
    let canceller = {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        })
    };
    let patient = RemoteOptions { read_timeout: Duration::from_secs(60), ..options(&server.address) };
    let began = Instant::now();
    let (streamed, result) = ask_with(patient, &cancel, None);
    let generation = result.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!((generation.finish, generation.text.as_str()), (FinishReason::Cancelled, "Bern"));
    assert_eq!(streamed, "Bern");
    canceller.join().unwrap();
}

#[test]
fn a_reader_who_has_enough_ends_the_answer() {
    let server = serve(vec![stream(["one ", "two ", "three "].map(chunk).concat() + END)]);
    let (_, result) = ask_with(options(&server.address), &Cancel::default(), Some("one"));
    let generation = result.unwrap();
    assert_eq!(generation.finish, FinishReason::Cancelled);
    assert!(generation.text.starts_with("one"));
}

#[test]
fn addresses_are_checked_when_configured() {
    for address in ["", "ftp://host", "host:8000", "http://", "http://user:password@host", "http://host?x=1"] {
        let error = RemoteGenerator::new(RemoteOptions::new(address, "m", 1)).unwrap_err();
        assert!(matches!(error, RemoteError::Address { .. }) && !error.to_string().contains("password"), "{error}");
    }
}
