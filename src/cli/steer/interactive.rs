//! Interactive steering: reads texts to continue, and commands that change the steering.

use super::super::decoding::{How, stream};
use super::super::observer::TerminalObserver;
use super::super::terminal::{print_lines, print_text};
use mappa::lab::{Change, Lab, ProbeChoice, ProbeFinder};
use mappa::model::{Model, NoHook};
use mappa::steering::{Dose, TargetReading, TokenChoice};
use mappa::{Error, Result};
use std::io::BufRead;

const HELP: &str = "  a text            is continued with steering
  /dose +30 east    moves the probe's prediction; 2 rms or 1.5x along --direction; clamp 3x of --feature
  /toward lat=35,lon=139   sets the prediction; year=1850 for years
  /layer 3,4        the blocks whose outputs are changed
  /at all           prompt, generated, all, last, bos, span:\"a phrase\"; several with commas
  /off              no steering, until the next /dose or /toward
  /quit             ends";

/// An interactive session: the current change, and the model to continue texts with.
pub(super) struct Conversation<'a> {
    lab: &'a Lab,
    model: &'a Model,
    how: &'a How,
    probes: ProbeChoice,
    change: Change,
    observer: TerminalObserver,
}

impl<'a> Conversation<'a> {
    /// Starts a session with a change.
    pub(super) fn new(lab: &'a Lab, model: &'a Model, change: Change, how: &'a How) -> Conversation<'a> {
        let probes = change.probes.clone();
        Conversation { lab, model, how, probes, change, observer: TerminalObserver::default() }
    }

    /// Reads lines until the end of input, `/quit`, or a closed terminal.
    ///
    /// # Errors
    /// [`Error::Io`] if standard input cannot be read; the error of a line is printed, and the session continues.
    pub(super) fn run(mut self) -> Result<()> {
        print_lines(HELP);
        let probes = self.probes.clone();
        let finder = ProbeFinder::new(self.lab, self.model, &probes);
        let mut lines = std::io::stdin().lock().lines();
        loop {
            print_text("> ");
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line.map_err(Error::io("read", "standard input"))?;
            if line.trim() == "/quit" {
                return Ok(());
            }
            if let Err(error) = self.answer(&finder, line.trim()) {
                say!("{error}");
            }
        }
    }

    fn answer(&mut self, finder: &ProbeFinder, line: &str) -> Result<()> {
        let (command, rest) =
            line.split_once(' ').map_or((line, ""), |(command, rest)| (command, rest.trim()));
        let change = self.change.clone();
        match command {
            "" => {}
            "/help" => print_lines(HELP),
            "/dose" => {
                let wanted = Change { dose: vec![rest.parse::<Dose>()?], toward: vec![], ..change };
                wanted.probes(finder, &mut self.observer)?;
                self.change = wanted;
            }
            "/toward" => {
                let wanted = Change { toward: vec![rest.parse::<TargetReading>()?], dose: vec![], ..change };
                wanted.probes(finder, &mut self.observer)?;
                self.change = wanted;
            }
            "/off" => self.change = Change { toward: vec![], dose: vec![], remove: false, ..change },
            "/layer" => {
                let layers = rest.split(',').map(|layer| layer.trim().parse());
                let layers = layers
                    .collect::<Result<Vec<usize>, _>>()
                    .map_err(|_| Error::invalid("/layer", rest, "blocks with commas, such as 3,4"))?;
                let wanted = Change { layer: layers, hook_points: None, ..change };
                wanted.points(self.model, &mut self.observer)?;
                self.change = wanted;
            }
            "/at" => self.change.positions = rest.parse::<TokenChoice>()?,
            _ if command.starts_with('/') => {
                let expected = "/dose, /toward, /layer, /at, /off, /help or /quit";
                return Err(Error::invalid("command", command, expected));
            }
            _ => return self.write(finder, line),
        }
        Ok(())
    }

    fn write(&mut self, finder: &ProbeFinder, line: &str) -> Result<()> {
        let prompt = self.how.framed(self.model, line)?;
        if self.change.is_none() {
            return stream(self.how, self.model, &prompt, &mut NoHook);
        }
        self.change = self.change.settled(finder, &mut self.observer)?;
        let mut hook = self.change.steers(finder, &prompt, &mut self.observer)?;
        stream(self.how, self.model, &prompt, &mut hook)
    }
}
