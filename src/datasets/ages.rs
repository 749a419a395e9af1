//! Ages: spans of years with names, such as `Roman`; the training texts of the bundled model use these names.

/// Ages of the world, each with the first year after it.
const AGES: [(f64, &str); 13] = [
    (-500.0, "bronze"),
    (-300.0, "classical"),
    (0.0, "Hellenistic"),
    (300.0, "Roman"),
    (600.0, "migration"),
    (1000.0, "caliphate"),
    (1300.0, "crusade"),
    (1500.0, "plague"),
    (1600.0, "voyage"),
    (1700.0, "baroque"),
    (1800.0, "enlightenment"),
    (1900.0, "steam"),
    (f64::INFINITY, "atom"),
];

/// Ages of the recent past, each with the decimal year of its end.
const RECENT_AGES: [(f64, &str); 13] = [
    (1953.05, "Truman"),
    (1961.05, "Eisenhower"),
    (1963.89, "Kennedy"),
    (1969.05, "Johnson"),
    (1974.61, "Nixon"),
    (1977.05, "Ford"),
    (1981.05, "Carter"),
    (1989.05, "Reagan"),
    (1993.05, "the elder Bush"),
    (2001.05, "Clinton"),
    (2009.05, "the younger Bush"),
    (2017.05, "Obama"),
    (f64::INFINITY, "Trump"),
];

/// The age of a year, by name; for a dataset other than `historical_figure`, an age of the recent past.
pub fn age(dataset: &str, year: f64) -> &'static str {
    let ages = if dataset == "historical_figure" { &AGES } else { &RECENT_AGES };
    ages.iter().find(|(end, _)| year < *end).map_or("", |(_, age)| age)
}

/// The names of all ages.
#[cfg(test)]
pub(crate) fn age_names() -> impl Iterator<Item = &'static str> {
    AGES.iter().chain(&RECENT_AGES).map(|(_, age)| *age)
}
