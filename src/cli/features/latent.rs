//! One latent in detail: its top entities, the groups it matches, and its logit lens.

use super::super::table::print_columns;
use super::cells::{HEADS, cells_of};
use mappa::Result;
use mappa::lab::{Listing, group_row};
use mappa::steering::raised_and_lowered;

/// Number of groups and tokens shown.
const SHOWN: usize = 6;

/// Prints a latent's entities, groups and tokens.
pub(super) fn print(listing: &Listing, latent: usize, top: usize) -> Result<()> {
    let (active, dataset) = (&listing.active, listing.dataset());
    say!();
    say!(
        "latent {latent}: active on {} entities (density {:.4}), greatest activation {:.3}",
        active.of_latent(latent).len(),
        active.density(latent),
        active.greatest(latent)
    );
    let cells = |(entity, activation): &(usize, f32)| {
        let is_test = dataset.entities[*entity].is_test;
        vec![
            format!("{activation:.3}"),
            dataset.entities[*entity].name.clone(),
            listing.groups.name_of(*entity).to_string(),
            if is_test { "test".into() } else { "train".into() },
        ]
    };
    let rows: Vec<Vec<String>> = active.of_latent(latent).iter().take(top).map(cells).collect();
    print_columns(&["activation", "entity", &listing.column, "split"], &rows);
    let of_latent = listing.matches.iter().filter(|found| found.latent == latent).take(SHOWN);
    let rows: Vec<Vec<String>> = of_latent.map(|found| cells_of(&group_row(listing, found))).collect();
    say!();
    say!("matching groups: threshold chosen on training entities, scores on test entities");
    print_columns(&HEADS, &rows);
    let model = listing.model;
    let writes: Vec<f64> = listing.dictionary.direction(latent).iter().map(|x| f64::from(*x)).collect();
    if model.transformer.generates() && writes.len() == model.spec().d_model {
        say!();
        say!("logit lens: the decoder vector through the final norm and the unembedding");
        let (raised, lowered) = raised_and_lowered(&model.transformer, &writes, SHOWN)?;
        for (word, ids) in [("raises", raised), ("lowers", lowered)] {
            let tokens = ids.iter().map(|id| Ok(format!("{:?}", model.tokenizer.spell(&[*id])?)));
            say!("    {word} {}", tokens.collect::<Result<Vec<_>>>()?.join(" "));
        }
    }
    Ok(())
}
