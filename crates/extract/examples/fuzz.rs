//! Mutates files and feeds them to a worker pool, round after round: `fuzz FOLDER [--rounds N] [--seed S]
//! [--keep DIR]`. Every file of the folder is a seed, so every parser that has a seed is a target. A mutant that
//! crashed, timed out or took the memory is kept in DIR with what it did in its name; one that takes the pool
//! down ends the run with status 1. The same seed gives the same mutants.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use fontes_core::Cancel;
use fontes_extract::{WorkerCommand, WorkerLimits, WorkerPool, worker};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(first) = args.first() else { return ExitCode::from(2) };
    if first == "extract-worker" {
        return worker::serve();
    }
    let value = |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1));
    let rounds = value("--rounds").and_then(|rounds| rounds.parse().ok()).unwrap_or(3_u64);
    let seed = value("--seed").and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let keep = value("--keep").map(PathBuf::from);
    let Ok(program) = std::env::current_exe() else { return ExitCode::from(2) };
    let command = WorkerCommand { program, args: vec!["extract-worker".into()] };
    let mut limits = WorkerLimits { wall_seconds: 20, cpu_seconds: 20, ..WorkerLimits::default() };
    // Recognition reads what was drawn, never the file.
    limits.recognition.enabled = false;
    let pool = WorkerPool::new(command, limits, 1);
    let mut outcomes: BTreeMap<&'static str, u64> = BTreeMap::new();
    for path in files(Path::new(first)) {
        let Ok(original) = std::fs::read(&path) else { continue };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for round in 0..rounds {
            let mut random = Random(seed ^ digest(name.as_bytes()) ^ round.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let mutant = mutated(original.clone(), &mut random);
            let code = pool.extract(&mutant, &name, &Cancel::default()).err().map_or("ok", |error| error.code());
            *outcomes.entry(code).or_default() += 1;
            if matches!(code, "crashed" | "timeout" | "out_of_memory" | "internal") {
                println!("{code}\t{name}\tround {round}");
                if let Some(keep) = &keep {
                    let _ = std::fs::write(keep.join(format!("{code}-{round}-{name}")), &mutant);
                }
            }
        }
        if pool.extract(b"still here", "a.txt", &Cancel::default()).is_err() {
            println!("the pool does not serve any more after {name}");
            return ExitCode::FAILURE;
        }
    }
    println!("{outcomes:?}");
    ExitCode::SUCCESS
}

/// Xorshift (Marsaglia 2003): small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`, 0 for 0.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }
}

/// FNV-1a, never 0 for the names of files.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Changes a file in one to eight places: bits, bytes, numbers, pieces repeated, moved or cut.
fn mutated(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        let length = random.below(64).min(bytes.len().saturating_sub(at));
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 0xFF, b'0', b'9', b'<', b'{', b'/'][random.below(7)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let piece = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece.repeat(1 + random.below(50)));
            }
            5 => bytes[at..at + length].fill(u8::try_from(random.below(256)).unwrap_or(0)),
            _ => {
                // A number of the text made extreme.
                let number = bytes[at..].iter().position(u8::is_ascii_digit).map(|digit| at + digit);
                if let Some(digit) = number {
                    bytes.splice(digit..=digit, *b"4294967295");
                }
            }
        }
    }
    bytes
}

fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| files(path)).collect()
}
