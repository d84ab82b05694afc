//! A clock that moves only when told to.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use fontes_core::Clock;

/// Tells the time it was given.
#[derive(Debug)]
pub struct FixedClock(Mutex<SystemTime>);

impl FixedClock {
    /// Makes a clock that stands at `seconds` after the Unix epoch.
    pub fn at(seconds: u64) -> Self {
        Self(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: SystemTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_until_told() {
        let clock = FixedClock::at(1_000);
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), before + Duration::from_secs(5));
        clock.set(before);
        assert_eq!(clock.now(), before);
    }
}
