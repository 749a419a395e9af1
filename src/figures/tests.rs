//! What every figure must hold: its words, its bounds, its refusals.
use super::samples::*;
use super::*;

const CAPTION: Caption =
    Caption { title: "World places at blocks.5.hook_resid_post", subtitle: "test R² 0.81 (0.78 to 0.84)" };

#[test]
fn throwaway() {
    std::fs::create_dir_all("/tmp/figs").unwrap();
    let years_caption =
        Caption { title: "Historical figures at blocks.5.hook_resid_post", subtitle: "test R² 0.76" };
    for (format, ending) in [(Format::Png, "png"), (Format::Svg, "svg")] {
        let save = |name: &str, bytes: crate::Result<Vec<u8>>| {
            std::fs::write(format!("/tmp/figs/{name}.{ending}"), bytes.unwrap()).unwrap();
        };
        let six = scores(6);
        save("r2_six", r2_by_layer(&six, format));
        save("r2_deep", r2_by_layer(&scores(32), format));
        let one: Vec<_> = six.iter().filter(|r| r.dataset == "art").cloned().collect();
        save("r2_one", r2_by_layer(&one, format));
        save("places", predictions(&places(1000), &CAPTION, format));
        save("places_many", predictions(&places(30_000), &CAPTION, format));
        let two: Vec<_> = places(100)
            .into_iter()
            .filter(|r| r.group == "France")
            .map(|mut r| {
                r.truth = 40.0 + (r.truth % 1.0) / 4.0;
                r.prediction = 40.0 + (r.prediction % 1.0) / 4.0;
                r
            })
            .collect();
        save("places_city", predictions(&two, &CAPTION, format));
        save("years", predictions(&years(1000), &years_caption, format));
        save("sweep", dose_response(&sweep(), format));
        let year: Vec<_> = sweep().into_iter().filter(|r| r.kind == "year").collect();
        save("sweep_year", dose_response(&year, format));
    }
}
