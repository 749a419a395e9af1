//! `mappa features clamp`: the effect of clamped latents on the probability of names.

use super::super::observer::TerminalObserver;
use super::super::table::print_columns;
use super::super::within::within;
use super::Source;
use clap::Args;
use mappa::Result;
use mappa::lab::{ClampReport, ClampSettings, Lab, ListedOn, Listing, clamp_groups, group_row, list};
use mappa::limits::{ANY, RANDOM};
use mappa::results::ClampRow;
use mappa::shown::shown;
use mappa::steering::TokenChoice;

/// Clamp latents that match a group, and measure whether the text names this group and no other.
///
/// For each group, the command chooses the latent with the best F1 on training entities; it clamps the latents of the
/// groups with the highest F1. The prompts are about test entities of other groups. Each latent is clamped to multiples
/// of its greatest activation on the dataset. The command measures the log-probability of every group's name after the
/// prompt, the group that the text names first, and the KL divergence of the next token.
///
/// For comparison, the command also adds the directions of random other latents that are active on the dataset. Their
/// length is the length of the clamped latent's change on a row where that latent is inactive. Rows are saved in
/// features/MODEL/DICTIONARY/DATASET/PROMPT/press_COLUMN.csv.
///
/// Examples:
///   mappa features clamp DICT --dataset world_place --column country --template "{} is in"
///   mappa features clamp DICT --dataset historical_figure --column age --template "{} is from the age of"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Clamp {
    #[command(flatten)]
    source: Source,
    /// The template of the prompts; {} is the entity's name.
    #[arg(long, default_value = "{} is in", value_name = "TEMPLATE")]
    template: String,
    /// Minimum number of training entities of a group; smaller groups are not clamped, but their names are still
    /// measured.
    #[arg(long, default_value_t = 8, value_name = "N")]
    smallest: usize,
    /// Number of groups whose latents are clamped.
    #[arg(long, default_value_t = 10)]
    groups: usize,
    /// Clamped values, in multiples of the greatest activation.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
    times: Vec<f64>,
    /// Number of test entities to write prompts about.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    prompts: u32,
    /// Number of random latents for comparison.
    #[arg(long, default_value_t = 10, value_parser = within(RANDOM))]
    random: usize,
    /// The tokens to change.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: TokenChoice,
    /// Number of tokens to generate.
    #[arg(long, default_value_t = 8, value_parser = within(ANY))]
    tokens: usize,
}

impl Clamp {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        self.settings().check()?;
        let loaded = self.source.load(lab, self.smallest, observer)?;
        let (model, dictionary, prompted) = (&loaded.model, &loaded.dictionary, &loaded.prompted);
        let on = ListedOn { lab, model, dictionary, prompted };
        let listing = list(on, &loaded.settings, observer)?;
        let report = clamp_groups(&listing, &self.settings(), observer)?;
        self.print(&listing, &report);
        say!();
        say!("rows: {}", report.file.display());
        Ok(())
    }

    fn settings(&self) -> ClampSettings {
        ClampSettings {
            template: self.template.clone(),
            groups: self.groups,
            times: self.times.clone(),
            prompts: self.prompts as usize,
            random: self.random,
            at: self.positions.clone(),
            tokens: self.tokens,
        }
    }

    fn print(&self, listing: &Listing, ClampReport { best, rows, .. }: &ClampReport) {
        say!();
        say!(
            "{} test entities of other groups, \"{}\"; change of the names' log-probability in nats; \
             random: mean of {} latents",
            rows[0].n_prompts,
            shown(&self.template),
            self.random
        );
        let mut table = Vec::new();
        for found in best {
            let group = &listing.groups.names()[found.group];
            let tells = group_row(listing, found);
            for times in &self.times {
                let of = |way: &str| {
                    rows.iter().filter(|r| r.group == *group && r.times == *times && r.way == way).collect()
                };
                let (unit, random): (Vec<&ClampRow>, Vec<&ClampRow>) = (of("unit"), of("random"));
                let Some(unit) = unit.first() else { continue };
                let mean = |value: fn(&ClampRow) -> f64| {
                    random.iter().map(|row| value(row)).sum::<f64>() / random.len() as f64
                };
                table.push(vec![
                    group.clone(),
                    unit.unit.to_string(),
                    tells.f1.map_or("–".into(), |f1| format!("{f1:.2}")),
                    format!("{times}x"),
                    format!("{:+.2}", unit.own),
                    format!("{:+.2}", unit.others),
                    format!("{} of {}", unit.rank, unit.n_groups),
                    format!("{:.2} → {:.2}", unit.named_before, unit.named),
                    format!("{:.2}", unit.kl),
                    format!("{:+.2}", mean(|row| row.own)),
                    format!("{:.2}", mean(|row| row.named)),
                    format!("{:.2}", mean(|row| row.kl)),
                ]);
            }
        }
        let heads = [
            "group",
            "latent",
            "F1",
            "clamped",
            "own name",
            "others",
            "rank",
            "text names it",
            "KL",
            "random: own name",
            "names it",
            "KL",
        ];
        print_columns(&heads, &table);
        self.print_means(rows);
    }

    /// Prints the mean effect over the groups, for clamped and for random latents.
    fn print_means(&self, rows: &[ClampRow]) {
        say!();
        for times in &self.times {
            for (way, word) in [("unit", "latent"), ("random", "random")] {
                let of: Vec<&ClampRow> = rows.iter().filter(|r| r.times == *times && r.way == way).collect();
                let mean = |value: fn(&ClampRow) -> f64| {
                    of.iter().map(|row| value(row)).sum::<f64>() / of.len().max(1) as f64
                };
                say!(
                    "{times}x, {word}: the group's own name gained most in {} of {}; own name {:+.2}, \
                     others {:+.2}; text names the group {:.3} (before {:.3}); KL {:.2}",
                    of.iter().filter(|row| row.rank == 1).count(),
                    of.len(),
                    mean(|row| row.own),
                    mean(|row| row.others),
                    mean(|row| row.named),
                    mean(|row| row.named_before),
                    mean(|row| row.kl)
                );
            }
        }
    }
}
