//! Ctrl-C and SIGTERM during work: the first signal requests a stop, the second ends the program.

use mappa::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// True if the next signal ends the program, as by default; false if the next signal only requests a stop.
static ENDS: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A guard: while it exists, the first signal only requests a stop.
pub(super) struct Stopping {
    ends: Arc<AtomicBool>,
}

impl Stopping {
    /// Starts to listen to signals.
    pub(super) fn begin() -> Result<Stopping> {
        let ends = match ENDS.get() {
            Some(ends) => ends.clone(),
            None => {
                let ends = Arc::new(AtomicBool::new(true));
                for signal in [SIGINT, SIGTERM] {
                    // The order matters: a signal that finds the flag already set ends the program.
                    flag::register_conditional_default(signal, ends.clone())
                        .and_then(|_| flag::register(signal, ends.clone()))
                        .map_err(|e| Error::Internal(format!("cannot listen to signals: {e}")))?;
                }
                ENDS.get_or_init(|| ends).clone()
            }
        };
        ends.store(false, Ordering::SeqCst);
        Ok(Stopping { ends })
    }

    /// Returns true if a signal has requested a stop.
    pub(super) fn is_asked(&self) -> bool {
        self.ends.load(Ordering::SeqCst)
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}
