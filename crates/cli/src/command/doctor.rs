//! `fontes doctor`: what this machine is, and what will run well on it.

use std::path::Path;

use fontes_core::{Error, Language};
use fontes_index::VectorHome;
use serde::Serialize;

use fontes_model::{
    decoder::DeviceChoice,
    kernels::{Isa, Roofline, ThreadPool},
};

use super::recommend::recommend;
use crate::{
    config::Config,
    machine::{self, available_memory},
    output::{Outcome, Voice, describe},
    wiring,
};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// As it should be.
    Ok,
    /// Works, with a limit worth knowing.
    Warn,
    /// Something will not work.
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    advice: String,
}

impl Check {
    fn new(name: &'static str, status: Status, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into(), advice: advice.into() }
    }
}

/// Runs every check.
pub fn run(config: &Config, voice: Voice) -> anyhow::Result<Outcome> {
    let memory = available_memory();
    let mut checks = vec![processor(), instructions(), memory_check(memory), huge_pages(), disk(&config.data.dir)];
    checks.extend(sandbox());
    checks.push(recognition(config));
    checks.push(embedder(config));
    checks.push(vectors(config));
    checks.push(generator(config, memory));
    checks.push(gpu(config));
    checks.push(speed(memory));
    checks.push(port(config));
    if voice.json {
        voice.object(&serde_json::json!({ "checks": checks }))?;
    } else {
        for check in &checks {
            let (mark, colour) = match check.status {
                Status::Ok => ("ok  ", "32"),
                Status::Warn => ("warn", "33"),
                Status::Fail => ("fail", "31"),
            };
            voice.line(&format!("{}  {:<12} {}", voice.style(colour, mark), check.name, check.detail))?;
            if !check.advice.is_empty() {
                voice.line(&format!("{:18} {}", "", check.advice))?;
            }
        }
    }
    let failed: Vec<&str> =
        checks.iter().filter(|check| check.status == Status::Fail).map(|check| check.name).collect();
    if failed.is_empty() {
        return Ok(Outcome::Done);
    }
    Err(Error::unavailable(format!("something will not work here: {}", failed.join(", ")))
        .advise("do what is said beside each failed check")
        .into())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> Check {
    let cores = cores();
    let detail = format!("{cores} cores, {}", std::env::consts::ARCH);
    if cores < 2 {
        return Check::new("processor", Status::Warn, detail, "searches wait while an answer is generated");
    }
    Check::new("processor", Status::Ok, detail, "")
}

fn instructions() -> Check {
    let isa = Isa::detect();
    let advice = match isa {
        Isa::Amx | Isa::Avx512Vnni => "",
        Isa::AvxVnni | Isa::Avx2 => "prompts are read two to four times slower than with AVX-512 VNNI",
        Isa::Portable => "models run on the portable path; prefer quoting or a remote generator",
    };
    let status = if isa == Isa::Portable { Status::Warn } else { Status::Ok };
    Check::new("instructions", status, isa.title(), advice)
}

/// Measures what the machine can do at best, in half a second, and what to run on it.
fn speed(memory: Option<u64>) -> Check {
    let (isa, threads) = (Isa::detect(), cores());
    let limits = match Roofline::measure(&ThreadPool::shared(threads), isa, &wiring::SystemClock) {
        Ok(limits) => limits,
        Err(error) => return Check::new("speed", Status::Warn, format!("not measured: {error}"), ""),
    };
    let detail = format!(
        "{:.0} billion multiply-adds and {:.0} GB read per second on {threads} threads",
        limits.multiply_adds_per_second / 1e9,
        limits.bytes_per_second / 1e9
    );
    match memory.and_then(|memory| recommend(isa, &limits, memory)) {
        Some(best) => {
            let advice = format!(
                "best here: {} as {}, prompts up to {} tokens; expect {:.0} tokens per second",
                best.model, best.quantisation, best.context, best.tokens_per_second
            );
            Check::new("speed", Status::Ok, detail, advice)
        }
        None => Check::new("speed", Status::Ok, detail, ""),
    }
}

/// Gibibytes with one decimal.
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1u32 << 30)
}

fn memory_check(memory: Option<u64>) -> Check {
    let Some(memory) = memory else {
        return Check::new(
            "memory",
            Status::Warn,
            "not known on this system",
            "leave 2 GiB beside the model's weights",
        );
    };
    let detail = format!("{:.1} GiB available", gib(memory));
    // Half of it may go to a model: the smallest takes 0.4 GiB at 4 bits with its cache.
    if memory < 1 << 30 {
        return Check::new(
            "memory",
            Status::Warn,
            detail,
            "too little for a language model; Fontes will quote instead",
        );
    }
    Check::new("memory", Status::Ok, detail, "")
}

fn huge_pages() -> Check {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    if setting.contains("[always]") || setting.contains("[madvise]") {
        Check::new("huge pages", Status::Ok, "available", "")
    } else {
        let advice = "set /sys/kernel/mm/transparent_hugepage/enabled to madvise: weights are read up to twice as fast";
        Check::new("huge pages", Status::Warn, "not available", advice)
    }
}

fn disk(dir: &Path) -> Check {
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    let shown = dir.display();
    let Ok(stat) = rustix::fs::statvfs(existing) else {
        return Check::new("disk", Status::Warn, format!("{shown}: size not known"), "");
    };
    let free = stat.f_bavail * stat.f_frsize;
    let detail = format!("{shown}: {:.1} GiB free", gib(free));
    // 100,000 chunks take about half a gibibyte over ledger and both indexes.
    if free < 1 << 30 {
        return Check::new(
            "disk",
            Status::Warn,
            detail,
            "an index of 100,000 chunks takes about 0.5 GiB, models 0.1 to 5 GiB",
        );
    }
    Check::new("disk", Status::Ok, detail, "")
}

fn port(config: &Config) -> Check {
    let address = config.server.listen;
    match std::net::TcpListener::bind(address) {
        Ok(_) => Check::new("port", Status::Ok, format!("{address} is free"), ""),
        Err(error) => Check::new(
            "port",
            Status::Warn,
            format!("{address}: {error}"),
            "a server may be running; else set server.listen",
        ),
    }
}

/// The embedder that the archive is searched with, or will be.
fn embedder(config: &Config) -> Check {
    match wiring::Choice::of_archive(config) {
        Ok(choice) => Check::new("embedder", Status::Ok, choice.model.name, ""),
        Err(error) => {
            let advice =
                error.downcast_ref::<Error>().and_then(Error::advice).unwrap_or("fontes models list").to_owned();
            Check::new("embedder", Status::Fail, describe(&error), advice)
        }
    }
}

/// Where vectors live, and whether that place answers.
fn vectors(config: &Config) -> Check {
    const NAME: &str = "vectors";
    let failed = |error: anyhow::Error| {
        let advice = error.downcast_ref::<Error>().and_then(Error::advice).unwrap_or("qdrant.api_key_file").to_owned();
        Check::new(NAME, Status::Fail, describe(&error), advice)
    };
    let home = match wiring::vector_home(config) {
        Ok(home) => home,
        Err(error) => return failed(error),
    };
    let VectorHome::Server(settings) = &home else { return Check::new(NAME, Status::Ok, home.to_string(), "") };
    match fontes_index::report(settings) {
        Ok(report) => {
            let held = match &report.collection {
                Some(collection) => format!(
                    "{} vectors in {collection}, {} shards of {} replicas",
                    report.vectors, report.shards, report.replicas
                ),
                None => "nothing yet".into(),
            };
            Check::new(NAME, Status::Ok, format!("{home} (version {}): {held}", report.version), "")
        }
        Err(error) => failed(error.into()),
    }
}

fn generator(config: &Config, memory: Option<u64>) -> Check {
    match wiring::generator_choice(config, None) {
        Ok(wiring::GeneratorChoice::None) => {
            let name = if memory.is_some_and(|memory| memory > 6 << 30) {
                "apertus-v1.1-1.5b-instruct"
            } else {
                "apertus-v1.1-0.5b-instruct"
            };
            Check::new(
                "generator",
                Status::Warn,
                "none installed; answers quote the sources",
                format!("fontes models install {name}"),
            )
        }
        Ok(choice) => Check::new("generator", Status::Ok, choice.to_string(), ""),
        Err(error) => Check::new("generator", Status::Fail, error.to_string(), "fontes models list"),
    }
}

fn sandbox() -> Vec<Check> {
    fontes_extract::worker::sandbox_report()
        .into_iter()
        .map(|mechanism| {
            let status = if mechanism.active { Status::Ok } else { Status::Warn };
            let advice = if mechanism.active {
                ""
            } else {
                "documents are still parsed in a process of their own, under the limits that remain"
            };
            Check::new("sandbox", status, format!("{}: {}", mechanism.name, mechanism.detail), advice)
        })
        .collect()
}

/// Whether the configured device is there and this build can use it; a GPU that lies idle is worth a word.
fn gpu(config: &Config) -> Check {
    const BUILD: &str = "build with `cargo build --release -p fontes --features cuda`, and set generation.device";
    let found = machine::gpus();
    let names = if found.is_empty() { "no NVIDIA GPU".to_owned() } else { found.join(", ") };
    let (status, detail, advice) = match config.generation.device.parse() {
        Err(error) => (Status::Fail, Error::to_string(&error), "generation.device"),
        Ok(DeviceChoice::Cuda(_)) if !DeviceChoice::gpu_built() => {
            (Status::Fail, format!("{names}; this build computes on the processor only"), BUILD)
        }
        Ok(DeviceChoice::Cuda(number)) if number >= found.len() => (
            Status::Fail,
            format!("{names}, but generation.device is cuda:{number}"),
            "set generation.device = \"cpu\"",
        ),
        Ok(DeviceChoice::Cpu) if !found.is_empty() => {
            let advice = if DeviceChoice::gpu_built() { "set generation.device = \"cuda\"" } else { BUILD };
            (Status::Warn, format!("{names}, not used"), advice)
        }
        Ok(_) => (Status::Ok, names, ""),
    };
    Check::new("gpu", status, detail, advice)
}

/// Text recognition: scans are quarantined without it.
fn recognition(config: &Config) -> Check {
    let settings = match wiring::recognition(config) {
        Ok(settings) => settings,
        Err(error) => return Check::new("recognition", Status::Fail, error.to_string(), "ingest.ocr_languages"),
    };
    if !settings.enabled {
        return Check::new("recognition", Status::Warn, "switched off: scans are quarantined", "ingest.ocr_languages");
    }
    let report = fontes_extract::worker::recognition_report(&settings);
    let codes =
        |languages: &[Language]| languages.iter().map(|language| language.code()).collect::<Vec<_>>().join(", ");
    let Some(program) = report.program else {
        return Check::new(
            "recognition",
            Status::Warn,
            "tesseract is not installed: scans are quarantined, pages without text stay empty",
            "Debian: apt-get install tesseract-ocr tesseract-ocr-deu tesseract-ocr-fra tesseract-ocr-ita",
        );
    };
    let detail = format!("{}: {}", program.display(), codes(&report.languages));
    if report.missing.is_empty() {
        Check::new("recognition", Status::Ok, detail, "")
    } else {
        let advice = format!("language data is missing for {}", codes(&report.missing));
        Check::new("recognition", Status::Warn, detail, advice)
    }
}
