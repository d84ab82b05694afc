//! The parent's side: a pool of workers, each used for many files and given up at the first sign of trouble.

use std::{
    io,
    path::PathBuf,
    process::{Child as Process, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use fontes_core::Cancel;
use serde::{Deserialize, Serialize};

use super::{
    protocol::{self, Ready, Request, Role, Setup, Task},
    recognise::{Recogniser, Recognition},
    sandbox::Mechanism,
};
use crate::{Child, ExtractError, Extraction, ParseLimits, Parsed, Picture, Recognised};

/// How often a wait looks at the cancel flag and the clock.
const TICK: Duration = Duration::from_millis(20);

/// Time for a worker to start and confine itself. Machines under full load start processes slowly.
const START_TIME: Duration = Duration::from_secs(30);

/// Bytes of a worker's error output kept to tell one death from another. Never shown: they may hold text.
const STDERR_BYTES: usize = 4096;

/// How to start a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program, usually the running binary itself.
    pub program: PathBuf,
    /// Its arguments, usually `extract-worker`.
    pub args: Vec<String>,
}

/// What a worker may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerLimits {
    /// Limits on the content of a file.
    pub parse: ParseLimits,
    /// Wall-clock seconds per file, after which the worker is killed. A 1,600-page PDF takes some 15 s.
    pub wall_seconds: u64,
    /// Processor seconds per file; stops a worker even if its parent hangs.
    pub cpu_seconds: u64,
    /// Address space of a worker in bytes. 1 GiB held every honest file and contained every bomb measured.
    pub memory_bytes: u64,
    /// Files after which a worker is replaced, against creeping fragmentation and leaks.
    pub files_per_worker: u64,
    /// How pages without usable text are read.
    pub recognition: Recognition,
    /// Refuse to parse where the platform lacks a layer of the sandbox (else it is only reported).
    pub require_sandbox: bool,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            parse: ParseLimits::default(),
            wall_seconds: 60,
            cpu_seconds: 60,
            memory_bytes: 1 << 30,
            files_per_worker: 200,
            recognition: Recognition::default(),
            require_sandbox: false,
        }
    }
}

/// One file of a tree of files, as [`WorkerPool::extract_tree`] reports it.
#[derive(Debug)]
pub struct Part<'a> {
    /// Path below the outermost file, parts joined by `!/`; empty for that file itself.
    pub path_inside: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What came of it; the children were taken out and follow as parts.
    pub result: Result<Extraction, ExtractError>,
}

/// Parses files in child processes, at most `size` at a time. Shared between threads by reference.
#[derive(Debug)]
pub struct WorkerPool {
    command: WorkerCommand,
    limits: WorkerLimits,
    recogniser: Recogniser,
    state: Mutex<State>,
    slot_freed: Condvar,
}

#[derive(Debug)]
struct State {
    free_slots: usize,
    idle: Vec<Worker>,
}

impl WorkerPool {
    /// Makes a pool of up to `size` workers (at least one). Processes start when files come.
    pub fn new(command: WorkerCommand, limits: WorkerLimits, size: usize) -> Self {
        let state = Mutex::new(State { free_slots: size.max(1), idle: Vec::new() });
        let recogniser = Recogniser::new(limits.recognition.clone());
        Self { command, limits, recogniser, state, slot_freed: Condvar::new() }
    }

    /// The limits in force.
    pub fn limits(&self) -> &WorkerLimits {
        &self.limits
    }

    /// Parses one file in a worker; waits for a free one. Deterministic: the same bytes and name give the
    /// same result, whatever was parsed before.
    ///
    /// # Errors
    /// Whatever is wrong with the file, see [`ExtractError`]; [`ExtractError::WorkerUnavailable`] when no
    /// worker can be started, which says nothing about the file.
    pub fn extract(&self, bytes: &[u8], name: &str, cancel: &Cancel) -> Result<Extraction, ExtractError> {
        let size = bytes.len() as u64;
        if size > self.limits.parse.file_bytes {
            return Err(ExtractError::TooLarge { bytes: size, limit: self.limits.parse.file_bytes });
        }
        let _slot = self.acquire(cancel)?;
        let parse = |recognised: &Recognised| {
            let task = || Task::Parse { recognised: recognised.clone() };
            self.served(|worker| worker.extract((bytes, name), task(), cancel, &self.limits))
        };
        let first = parse(&Recognised::new());
        let unread: Vec<u32> = match &first {
            Ok((_, unread)) => unread.clone(),
            Err(ExtractError::NoText { pages }) => (1..=*pages).collect(),
            Err(_) => Vec::new(),
        };
        let recognised = match unread[..] {
            [] => None,
            _ => self.recogniser.pages(self, (bytes, name), &unread, cancel)?,
        };
        let parsed = recognised.map_or(first, |recognised| parse(&recognised));
        parsed.map(|(extraction, _)| extraction)
    }

    /// Draws pages of a file at `dpi` dots per inch, in the order asked for; large pages come out coarser.
    ///
    /// # Errors
    /// As [`WorkerPool::extract`]; [`ExtractError::Unsupported`] for files whose pages are not drawn (all but
    /// PDF and pictures).
    pub fn draw(
        &self,
        bytes: &[u8],
        name: &str,
        pages: &[u32],
        dpi: u32,
        cancel: &Cancel,
    ) -> Result<Vec<Picture>, ExtractError> {
        let _slot = self.acquire(cancel)?;
        self.draw_held((bytes, name), pages, dpi, cancel)
    }

    /// As [`WorkerPool::draw`], for one who already holds a slot.
    pub(super) fn draw_held(
        &self,
        file: (&[u8], &str),
        pages: &[u32],
        dpi: u32,
        cancel: &Cancel,
    ) -> Result<Vec<Picture>, ExtractError> {
        self.served(|worker| worker.draw(file, Task::Draw { pages: pages.to_vec(), dpi }, cancel, &self.limits))
    }

    /// Has a worker do `work`, once more in a fresh one when it may have died of what others left behind.
    fn served<T>(&self, work: impl Fn(&mut Worker) -> Result<T, ExtractError>) -> Result<T, ExtractError> {
        loop {
            let mut worker = match self.lock().idle.pop() {
                Some(worker) => worker,
                None => Worker::start(&self.command, &self.limits)?,
            };
            let used = worker.files > 0;
            let result = work(&mut worker);
            let sick = matches!(result, Err(ExtractError::Crashed { .. } | ExtractError::OutOfMemory { .. }));
            if worker.alive && !sick && worker.files < self.limits.files_per_worker {
                self.lock().idle.push(worker);
            }
            if !(sick && used) {
                return result;
            }
        }
    }

    /// How workers are started.
    pub(super) fn command(&self) -> &WorkerCommand {
        &self.command
    }

    /// Parses a file and, depth first, every file inside it, each in its own turn through a worker: a bomb
    /// in an attachment costs the attachment. Each result goes to `visit` as it comes.
    ///
    /// Children deeper than the depth limit, or past the limit of children or of bytes, are visited with
    /// [`ExtractError::Limit`]. Stops early when `cancel` is set (the rest is visited as cancelled once).
    pub fn extract_tree(&self, bytes: &[u8], name: &str, cancel: &Cancel, visit: &mut dyn FnMut(Part<'_>)) {
        let limits = &self.limits.parse;
        let (children, result) = take_children(self.extract(bytes, name, cancel));
        visit(Part { path_inside: "", bytes, result });
        let queue = |children: Vec<Child>, prefix: &str, depth: u32| -> Vec<(String, u32, Child)> {
            let path = |child: &Child| match prefix {
                "" => child.path_inside.clone(),
                prefix => format!("{prefix}!/{}", child.path_inside),
            };
            children.into_iter().rev().map(|child| (path(&child), depth, child)).collect()
        };
        let mut waiting = queue(children, "", 1);
        let (mut count, mut total) = (0_u64, 0_u64);
        while let Some((path, depth, child)) = waiting.pop() {
            count += 1;
            total += child.bytes.len() as u64;
            let result = match () {
                () if depth > limits.depth => Err(ExtractError::limit("nesting of files in files", limits.depth)),
                () if count > limits.children => Err(ExtractError::limit("number of files inside", limits.children)),
                () if total > limits.inflated_bytes => {
                    Err(ExtractError::limit("bytes of the files inside", limits.inflated_bytes))
                }
                () => self.extract(&child.bytes, &child.name, cancel),
            };
            let cancelled = matches!(result, Err(ExtractError::Cancelled));
            let (children, result) = take_children(result);
            visit(Part { path_inside: &path, bytes: &child.bytes, result });
            if cancelled || count > limits.children {
                return;
            }
            waiting.extend(queue(children, &path, depth + 1));
        }
    }

    /// The bytes of the file at `path_inside` (parts joined by `!/`) of a container; `None` when there is none.
    ///
    /// # Errors
    /// Those of reading the containers on the way.
    pub fn inside(
        &self,
        bytes: &[u8],
        name: &str,
        path_inside: &str,
        cancel: &Cancel,
    ) -> Result<Option<Vec<u8>>, ExtractError> {
        let (mut bytes, mut name, mut rest) = (bytes.to_vec(), name.to_owned(), path_inside);
        while !rest.is_empty() {
            let (children, result) = take_children(self.extract(&bytes, &name, cancel));
            result?;
            let leads = |child: &Child| match rest.strip_prefix(child.path_inside.as_str()) {
                Some("") => Some(""),
                Some(deeper) => deeper.strip_prefix("!/"),
                None => None,
            };
            let Some((child, deeper)) =
                children.into_iter().find_map(|child| leads(&child).map(|deeper| (child, deeper)))
            else {
                return Ok(None);
            };
            (bytes, name, rest) = (child.bytes, child.name, deeper);
        }
        Ok(Some(bytes))
    }

    /// Starts a worker if none is idle and tells which layers of the sandbox hold it.
    ///
    /// # Errors
    /// [`ExtractError::WorkerUnavailable`].
    pub fn sandbox(&self) -> Result<Vec<Mechanism>, ExtractError> {
        let _slot = self.acquire(&Cancel::default())?;
        let worker = match self.lock().idle.pop() {
            Some(worker) => worker,
            None => Worker::start(&self.command, &self.limits)?,
        };
        let sandbox = worker.sandbox.clone();
        self.lock().idle.push(worker);
        Ok(sandbox)
    }

    fn acquire(&self, cancel: &Cancel) -> Result<Slot<'_>, ExtractError> {
        let mut state = self.lock();
        loop {
            if cancel.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            if state.free_slots > 0 {
                state.free_slots -= 1;
                return Ok(Slot(self));
            }
            let waited = self.slot_freed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_children(result: Result<Extraction, ExtractError>) -> (Vec<Child>, Result<Extraction, ExtractError>) {
    match result {
        Ok(mut extraction) => (std::mem::take(&mut extraction.children), Ok(extraction)),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// The right to run one worker; given back on drop.
struct Slot<'a>(&'a WorkerPool);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().free_slots += 1;
        self.0.slot_freed.notify_one();
    }
}

/// A running worker process.
#[derive(Debug)]
pub(super) struct Worker {
    process: Process,
    pipes: Option<(ChildStdin, ChildStdout)>,
    stderr: Arc<Mutex<Vec<u8>>>,
    sandbox: Vec<Mechanism>,
    files: u64,
    alive: bool,
}

impl Worker {
    /// Starts the process and nothing more.
    pub fn spawn(command: &WorkerCommand) -> Result<Self, ExtractError> {
        let mut process = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| unavailable(format!("{} does not start: {error}", command.program.display())))?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(pipe) = process.stderr.take() {
            let kept = Arc::clone(&stderr);
            thread::spawn(move || keep_tail(pipe, &kept));
        }
        let pipes = process.stdin.take().zip(process.stdout.take());
        Ok(Self { process, pipes, stderr, sandbox: Vec::new(), files: 0, alive: true })
    }

    fn start(command: &WorkerCommand, limits: &WorkerLimits) -> Result<Self, ExtractError> {
        let mut worker = Self::spawn(command)?;
        let setup = Setup::new(limits, Role::Parser);
        let greeting = worker.exchange(START_TIME, &Cancel::default(), |stdin, stdout| {
            protocol::write(stdin, &setup, &[])?;
            protocol::skip_to_preamble(stdout)?;
            Ok(protocol::read::<Ready>(stdout, 0)?.0)
        });
        let ready = match greeting {
            Ok(ready) => ready,
            Err(failure) => return Err(unavailable(format!("{}: {failure:?}", command.program.display()))),
        };
        if let Some(refusal) = ready.refusal {
            return Err(unavailable(refusal));
        }
        worker.sandbox = ready.sandbox;
        Ok(worker)
    }

    fn extract(
        &mut self,
        (bytes, name): (&[u8], &str),
        task: Task,
        cancel: &Cancel,
        limits: &WorkerLimits,
    ) -> Result<Parsed, ExtractError> {
        self.files += 1;
        let request = Request { name: name.to_owned(), task };
        let outcome = self.exchange(Duration::from_secs(limits.wall_seconds), cancel, |stdin, stdout| {
            protocol::write(stdin, &request, &[bytes])?;
            protocol::read_result(stdout, &limits.parse)
        });
        self.named(outcome, limits)?
    }

    fn draw(
        &mut self,
        (bytes, name): (&[u8], &str),
        task: Task,
        cancel: &Cancel,
        limits: &WorkerLimits,
    ) -> Result<Vec<Picture>, ExtractError> {
        self.files += 1;
        let request = Request { name: name.to_owned(), task };
        let outcome = self.exchange(Duration::from_secs(limits.wall_seconds), cancel, |stdin, stdout| {
            protocol::write(stdin, &request, &[bytes])?;
            protocol::read_pictures(stdout)
        });
        self.named(outcome, limits)?
    }

    /// The error that a failed exchange means for the file.
    pub fn named<T>(&self, outcome: Result<T, Failure>, limits: &WorkerLimits) -> Result<T, ExtractError> {
        outcome.map_err(|failure| match failure {
            Failure::Cancelled => ExtractError::Cancelled,
            Failure::TimedOut => ExtractError::TimedOut { seconds: limits.wall_seconds },
            Failure::Garbled(error) => ExtractError::Crashed { how: error.to_string() },
            Failure::Died(status) => self.cause_of_death(status, limits),
        })
    }

    /// An exchange after which the process ends: `talk` owns the pipes and closes the input when it has said
    /// everything.
    pub fn exchange_last<T: Send>(
        &mut self,
        time: Duration,
        cancel: &Cancel,
        talk: impl FnOnce(ChildStdin, ChildStdout) -> io::Result<T> + Send,
    ) -> Result<T, Failure> {
        let Some((stdin, stdout)) = self.pipes.take() else {
            return Err(Failure::Garbled(io::Error::other("no pipes")));
        };
        self.watched(time, cancel, move || talk(stdin, stdout))
    }

    /// Runs `talk` on the pipes from a thread of its own while this one holds the clock. Anything but success
    /// kills the process; then the pipes break and the thread ends.
    fn exchange<T: Send>(
        &mut self,
        time: Duration,
        cancel: &Cancel,
        talk: impl FnOnce(&mut ChildStdin, &mut ChildStdout) -> io::Result<T> + Send,
    ) -> Result<T, Failure> {
        let Some((mut stdin, mut stdout)) = self.pipes.take() else {
            return Err(Failure::Garbled(io::Error::other("no pipes")));
        };
        let (value, pipes) = self.watched(time, cancel, move || {
            let value = talk(&mut stdin, &mut stdout)?;
            Ok((value, (stdin, stdout)))
        })?;
        self.pipes = Some(pipes);
        Ok(value)
    }

    /// Has another thread talk to the process while this one holds the clock.
    fn watched<T: Send>(
        &mut self,
        time: Duration,
        cancel: &Cancel,
        talk: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, Failure> {
        let process = &mut self.process;
        let deadline = Instant::now() + time;
        let outcome = thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            scope.spawn(move || {
                // The receiver is gone only after it killed the process.
                let _ = sender.send(talk());
            });
            loop {
                let failure = match receiver.recv_timeout(TICK) {
                    Ok(Ok(value)) => return Ok(value),
                    Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Failure::Garbled(error),
                    Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => Failure::Died(None),
                    Err(_) if cancel.is_cancelled() => Failure::Cancelled,
                    Err(_) if Instant::now() >= deadline => Failure::TimedOut,
                    Err(_) => continue,
                };
                if !matches!(failure, Failure::Died(_)) {
                    let _ = process.kill();
                }
                return Err(failure);
            }
        });
        outcome.map_err(|failure| {
            self.alive = false;
            let status = self.process.wait().ok();
            if let Failure::Died(_) = failure { Failure::Died(status) } else { failure }
        })
    }

    /// Tells deaths apart by exit status and error output.
    fn cause_of_death(&self, status: Option<ExitStatus>, limits: &WorkerLimits) -> ExtractError {
        use std::os::unix::process::ExitStatusExt as _;
        // The tail is complete when the reading thread has seen the end; it lags by a moment at most.
        thread::sleep(TICK);
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = String::from_utf8_lossy(&stderr);
        let memory = ExtractError::OutOfMemory { limit_bytes: limits.memory_bytes };
        let crashed = |how: &str| ExtractError::Crashed { how: how.to_owned() };
        let no_memory = status.and_then(|status| status.code()) == Some(protocol::EXIT_NO_MEMORY);
        if no_memory || stderr.contains("memory allocation of") {
            return memory;
        }
        if stderr.contains("overflowed its stack") {
            return crashed("stack overflow");
        }
        match status.and_then(|status| status.signal()) {
            Some(libc::SIGXCPU) => ExtractError::TimedOut { seconds: limits.cpu_seconds },
            // Nobody here killed it: the kernel did, for memory.
            Some(libc::SIGKILL) => memory,
            Some(libc::SIGSEGV) => crashed("segmentation fault"),
            Some(libc::SIGABRT) => crashed("abort"),
            Some(signal) => crashed(&format!("signal {signal}")),
            None => crashed("the worker ended without a result"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closing the input ends the worker; killing makes sure, waiting leaves no zombie.
        self.pipes = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn unavailable(what: String) -> ExtractError {
    ExtractError::WorkerUnavailable { what }
}

/// Why an exchange with a worker failed.
#[derive(Debug)]
pub(super) enum Failure {
    Cancelled,
    TimedOut,
    Garbled(io::Error),
    Died(Option<ExitStatus>),
}

/// Reads to the end, keeping the last bytes.
fn keep_tail(mut pipe: impl io::Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = pipe.by_ref().read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..read]);
        let excess = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..excess);
    }
}
