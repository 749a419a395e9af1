//! A prompt that asks for texts, and changes what is steered in between.

use super::super::writing::{How, stream};
use super::chosen::Change;
use mappa::model::{Model, NoHook};
use mappa::steering::{Dose, Toward, Where};
use mappa::{Error, Result};
use std::io::{BufRead, Write as _};
use std::path::Path;

const HELP: &str = "  a text            is continued, steered
  /dose +30 east    moves the probe's reading; 2 rms or 1.5x along --direction; clamp 3x of --feature
  /toward lat=35,lon=139   sets it; year=1850 for years
  /layer 3,4        the blocks whose outputs are changed
  /at all           prompt, generated, all, last, bos, span:\"a phrase\"; several with commas
  /off              no steering, until the next /dose or /toward
  /quit             ends";

/// Reads lines until the end, `/quit`, or a terminal that is gone.
///
/// # Errors
/// What goes wrong with standard input; what is wrong with a line is said, and the next is read.
pub fn run(lab: &Path, model: &Model, (mut change, how): (Change, &How)) -> Result<()> {
    println!("{HELP}");
    let mut lines = std::io::stdin().lock().lines();
    loop {
        print!("> ");
        _ = std::io::stdout().flush();
        let Some(line) = lines.next() else { return Ok(()) };
        let line = line.map_err(Error::io("read", "standard input"))?;
        if line.trim() == "/quit" {
            return Ok(());
        }
        if let Err(error) = answer(lab, model, (&mut change, how), line.trim()) {
            println!("{error}");
        }
    }
}

fn answer(lab: &Path, model: &Model, (change, how): (&mut Change, &How), line: &str) -> Result<()> {
    let (command, rest) = line.split_once(' ').map_or((line, ""), |(command, rest)| (command, rest.trim()));
    match command {
        "" => Ok(()),
        "/help" => {
            println!("{HELP}");
            Ok(())
        }
        "/dose" => {
            let wanted = Change { dose: vec![rest.parse::<Dose>()?], toward: vec![], ..change.clone() };
            wanted.probes(lab, model)?;
            *change = wanted;
            Ok(())
        }
        "/toward" => {
            let wanted = Change { toward: vec![rest.parse::<Toward>()?], dose: vec![], ..change.clone() };
            wanted.probes(lab, model)?;
            *change = wanted;
            Ok(())
        }
        "/off" => {
            (change.toward, change.dose, change.remove) = (vec![], vec![], false);
            Ok(())
        }
        "/layer" => {
            let layers = rest.split(',').map(|layer| layer.trim().parse()).collect::<Result<Vec<usize>, _>>();
            let layers =
                layers.map_err(|_| Error::invalid("/layer", rest, "blocks with commas, such as 3,4"))?;
            let wanted = Change { layer: layers, hook_points: None, ..change.clone() };
            wanted.points(model)?;
            *change = wanted;
            Ok(())
        }
        "/at" => {
            change.positions = rest.parse::<Where>()?;
            Ok(())
        }
        _ if command.starts_with('/') => {
            Err(Error::invalid("command", command, "/dose, /toward, /layer, /at, /off, /help or /quit"))
        }
        _ => {
            let prompt = how.framed(model, line)?;
            if change.toward.is_empty() && change.dose.is_empty() && !change.remove {
                return stream(how, (model, &prompt), &mut NoHook);
            }
            *change = change.settled(lab, model)?;
            let mut hook = change.steers(lab, model, &prompt)?;
            stream(how, (model, &prompt), &mut hook)
        }
    }
}
