//! `mappa features list`: latents, the entities they are active on, and the groups they match.

use super::super::observer::TerminalObserver;
use super::super::table::print_columns;
use super::cells::{HEADS, cells_of};
use super::{Source, latent};
use clap::Args;
use mappa::lab::{Lab, ListedOn, Listing, TopTokens, group_rows, kind_of, list, top_tokens};
use mappa::results::{LatentTokenRow, TOKENS_FILE, save_rows};
use mappa::shown::shown;
use mappa::{Error, Result};
use std::path::PathBuf;

/// Number of entities named in a line of the table.
const NAMED: usize = 3;

/// List the latents of a sparse dictionary with the entities they are active on.
///
/// Encodes a dataset's activations at the dictionary's hook point (extracts them first if they are missing). Shows for
/// each latent: the share of entities it is active on, its greatest activation, its top entities, and the
/// group of --column that it matches best. Group and threshold are chosen by F1 on training entities; precision,
/// recall, F1 and average precision are measured on test entities. Rows are saved in
/// features/MODEL/DICTIONARY/DATASET/PROMPT: units.csv, by_COLUMN.csv, tokens.csv.
///
/// DICT is a SAELens folder (cfg.json and sae_weights.safetensors) or a Gemma Scope .npz.
///
/// Examples:
///   mappa features list features/atlas/blocks.3.hook_resid_post.2048.k16 --dataset world_place --column country
///   mappa features list DICT --dataset historical_figure --column age --latent 40
///   mappa features list params.npz --model path/to/gemma-2-2b --hook-point blocks.12.hook_resid_post \
///     --dataset world_place --text book.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct List {
    #[command(flatten)]
    source: Source,
    /// Minimum number of training entities of a group; a match with a smaller group may be chance.
    #[arg(long, default_value_t = 5, value_name = "N")]
    smallest: usize,
    /// Show one latent in detail.
    #[arg(long, alias = "unit", value_name = "N")]
    latent: Option<usize>,
    /// A text file; also lists the tokens of this text on which latents are most active.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Number of top entities and tokens of each latent.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Number of latents in the table.
    #[arg(long, alias = "units", default_value_t = 20)]
    latents: usize,
}

impl List {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let loaded = self.source.load(lab, self.smallest, observer)?;
        if let Some(latent) = self.latent.filter(|latent| *latent >= loaded.dictionary.d_sae()) {
            return Err(Error::invalid(
                "--latent",
                latent,
                format!("0 to {}", loaded.dictionary.d_sae() - 1),
            ));
        }
        let (model, dictionary, prompted) = (&loaded.model, &loaded.dictionary, &loaded.prompted);
        let on = ListedOn { lab, model, dictionary, prompted };
        let listing = list(on, &loaded.settings, observer)?;
        listing.save(self.top)?;
        print_summary(&listing);
        let tokens = self.text.as_ref().map(|file| top_tokens(&listing, file, self.top)).transpose()?;
        if let (Some(found), Some(file)) = (&tokens, &self.text) {
            save_rows(&listing.folder.join(TOKENS_FILE), &found.rows)?;
            let (n, active) = (found.n_tokens, found.n_active);
            say!("on the {n} tokens of {}: {active} latents are active on at least one", file.display());
        }
        match self.latent {
            Some(latent) => latent::print(&listing, latent, self.top)?,
            None => self.print_units(&listing),
        }
        if let Some(TopTokens { rows, .. }) = &tokens {
            self.print_tokens(rows);
        }
        say!();
        say!("rows: {}", listing.folder.display());
        Ok(())
    }

    /// Prints the top tokens of one latent with their context, or the top token of the listed latents.
    fn print_tokens(&self, rows: &[LatentTokenRow]) {
        say!();
        say!("top tokens in the text");
        let is_shown = |row: &&LatentTokenRow| self.latent.map_or(row.rank == 1, |latent| row.unit == latent);
        for row in rows.iter().filter(is_shown).take(self.latents) {
            let LatentTokenRow { unit, activation, before, token, after, .. } = row;
            let (before, after) = (shown(before), shown(after));
            say!("{unit:>7} {activation:>8.2}  {before}⟦{}⟧{after}", shown(token.trim_start()));
        }
    }

    fn print_units(&self, listing: &Listing) {
        let Listing { active, groups, .. } = listing;
        let rows: Vec<Vec<String>> = group_rows(listing)
            .iter()
            .filter(|row| row.chosen_for == "unit")
            .take(self.latents)
            .map(|row| {
                let top = active.of_latent(row.unit).iter().take(NAMED);
                let top: Vec<&str> =
                    top.map(|(entity, _)| listing.dataset().entities[*entity].name.as_str()).collect();
                let mut cells = vec![
                    row.unit.to_string(),
                    format!("{:.4}", active.density(row.unit)),
                    format!("{:.2}", active.greatest(row.unit)),
                ];
                cells.extend(cells_of(row));
                cells.push(top.join(", "));
                cells
            })
            .collect();
        say!();
        say!(
            "latents and the best of {} groups of {} for each: chosen on training entities, scored on test entities",
            groups.names().len(),
            shown(&listing.column)
        );
        let mut heads = vec!["latent", "density", "greatest"];
        heads.extend(HEADS);
        heads.push("top entities");
        print_columns(&heads, &rows);
    }
}

fn print_summary(listing: &Listing) {
    let (Listing { dictionary, active, .. }, dataset) = (listing, listing.dataset());
    say!(
        "{} latents ({}) of {}, {} wide",
        dictionary.d_sae(),
        kind_of(dictionary),
        dictionary.hook_point,
        dictionary.d_in()
    );
    say!(
        "on the {} entities of {}: {} latents are active, {} never; {:.1} per entity; {:.1} % of the \
         variance explained",
        active.n_rows(),
        dataset.name,
        active.alive().len(),
        active.n_latents() - active.alive().len(),
        active.per_row(),
        100.0 * active.explained()
    );
}
