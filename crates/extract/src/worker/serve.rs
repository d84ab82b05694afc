//! The worker's side: gives up its rights, then parses file after file until its input closes.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Command, ExitCode},
    sync::{Mutex, PoisonError},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use super::{
    protocol::{self, EXIT_NO_MEMORY, PREAMBLE, Ready, Request, Role, Setup, Task},
    sandbox,
};
use crate::{ExtractError, draw, parse_with};

/// Stack of the parsing thread. Some parsers recurse as deep as their input nests; this holds the depths
/// that the limits allow. It is address space, not memory, until used.
const STACK_BYTES: usize = 128 << 20;

/// Serves a [`super::WorkerPool`] over standard input and output until the input closes; what the binary
/// runs as its hidden command `extract-worker`.
///
/// Standard output is taken over at once: a parser that prints reaches nobody. When the parent dies, its end
/// of the input closes and the process ends, even in the middle of a file. (A parent-death signal would be
/// bound to the *thread* that started the worker, and pools start workers from threads that come and go.)
pub fn serve() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    let out = File::from(rustix::io::dup(io::stdout())?);
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    let mut out = BufWriter::new(out);
    out.write_all(PREAMBLE)?;
    out.flush()?;
    // Without a buffer: what follows the setup belongs to the program that a recogniser becomes.
    let (setup, _): (Setup, _) = protocol::read(&mut File::from(rustix::io::dup(io::stdin())?), 0)?;
    if let Role::Recogniser { program, args } = &setup.role {
        rustix::stdio::dup2_stdout(out.get_ref())?;
        return Err(become_program(&setup, program, args));
    }
    let mut mechanisms = sandbox::limit_process(&setup);
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|location| format!("{}:{}", short(location.file()), location.line()));
        *PANIC_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place.unwrap_or_default();
    }));
    thread::Builder::new().name("parse".into()).stack_size(STACK_BYTES).spawn(move || {
        mechanisms.push(sandbox::filter_system_calls());
        let served = serve_files(&mut out, &setup, mechanisms);
        let code = match served {
            Ok(()) => 0,
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => EXIT_NO_MEMORY,
            Err(_) => 1,
        };
        std::process::exit(code);
    })?;
    wait_for_hangup()
}

/// Gives up all rights that text recognition does not need, then becomes it; returns only if that fails.
fn become_program(setup: &Setup, program: &Path, args: &[String]) -> io::Error {
    use std::os::unix::process::CommandExt as _;
    let missing: Vec<String> =
        sandbox::limit_program(setup).into_iter().filter(|held| !held.active).map(|held| held.name).collect();
    if setup.require_sandbox && !missing.is_empty() {
        return io::Error::other(format!("this platform lacks: {}", missing.join(", ")));
    }
    // Its own threads would fight over the cores that the other workers use.
    Command::new(program).args(args).env_clear().env("OMP_THREAD_LIMIT", "1").env("LC_ALL", "C").exec()
}

/// Returns when the writing end of standard input is closed. The process then ends with whatever it does.
fn wait_for_hangup() -> io::Result<()> {
    let stdin = io::stdin();
    loop {
        let mut input = [PollFd::new(&stdin, PollFlags::empty())];
        match poll(&mut input, None) {
            Ok(_) if input[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn serve_files(out: &mut BufWriter<File>, setup: &Setup, sandbox: Vec<sandbox::Mechanism>) -> io::Result<()> {
    let missing: Vec<&str> = sandbox.iter().filter(|held| !held.active).map(|held| held.name.as_str()).collect();
    let refuses = setup.require_sandbox && !missing.is_empty();
    let refusal = refuses.then(|| format!("this platform lacks: {}", missing.join(", ")));
    protocol::write(out, &Ready { sandbox, refusal }, &[])?;
    let mut input = io::stdin().lock();
    loop {
        let (request, mut blobs): (Request, _) = match protocol::read(&mut input, setup.parse.file_bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            frame => frame?,
        };
        sandbox::grant_cpu(setup.cpu_seconds);
        let bytes = blobs.pop().unwrap_or_default();
        match request.task {
            Task::Parse { recognised } => {
                let parse = || parse_with(&bytes, &request.name, &setup.parse, &recognised);
                protocol::write_result(out, contained(parse))?;
            }
            Task::Draw { pages, dpi } => {
                let draw = || draw(&bytes, &request.name, &pages, dpi, &setup.parse);
                protocol::write_pictures(out, contained(draw))?;
            }
        }
    }
}

/// Where the last panic happened: source file and line, never the message, which may hold document text.
static PANIC_PLACE: Mutex<String> = Mutex::new(String::new());

/// Works with panics turned into errors.
fn contained<T>(work: impl FnOnce() -> Result<T, ExtractError>) -> Result<T, ExtractError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let place = PANIC_PLACE.lock().unwrap_or_else(PoisonError::into_inner);
        Err(ExtractError::Crashed { how: format!("panic at {place}") })
    })
}

/// The last three parts of a source path: `pdf-extract-0.12.1/src/lib.rs`.
fn short(path: &str) -> String {
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}
