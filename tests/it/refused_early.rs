//! Settings that cannot be used are refused before the first forward pass, so that no work is lost.

use super::program::{done, mappa, refused};
use std::path::Path;

fn new_lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    for folder in ["datasets", "a", "b"] {
        std::fs::create_dir_all(lab.path().join(folder)).unwrap();
        let mut text = "name,latitude,longitude,is_test\n".to_string();
        for i in 0..48 {
            let town = ["Oslo", "Rome", "Lima"][i % 3];
            text += &format!("{folder} {town} {i},{},{},{}\n", (i * 7) % 60, (i * 11) % 90, i % 4 == 0);
        }
        std::fs::write(lab.path().join(folder).join("towns.csv"), text).unwrap();
    }
    lab
}

fn has_activations(lab: &Path) -> bool {
    lab.join("activations").exists()
}

#[test]
fn parts_that_do_not_exist_are_named_before_anything_is_extracted() {
    let lab = new_lab();
    let merge = ["probe", "--dataset", "towns", "--no-baselines", "--merge"];
    refused(mappa(lab.path(), &merge), &["no part for", "blocks.0.hook_resid_pre"]);
    assert!(!has_activations(lab.path()));
}

#[test]
fn two_files_of_one_name_are_refused_before_anything_is_extracted() {
    let lab = new_lab();
    let [a, b] = ["a", "b"].map(|folder| lab.path().join(folder).join("towns.csv").display().to_string());
    refused(
        mappa(lab.path(), &["probe", "--train", &a, "--test", &b, "--no-baselines"]),
        &["towns", "dataset_sha256", "rename"],
    );
    let experiment = lab.path().join("both.toml");
    let text =
        |more: &str| format!("model = 'atlas'\nno_baselines = true\ndatasets = ['{a}', '{b}']\n{more}");
    std::fs::write(&experiment, text("")).unwrap();
    refused(
        mappa(lab.path(), &["run", experiment.to_str().unwrap()]),
        &["towns", "dataset_sha256", "rename"],
    );
    // A setting that suits the first dataset but not the second.
    std::fs::write(lab.path().join("b/years.csv"), "name,year\nA,1\nB,2\nC,3\n").unwrap();
    let years = lab.path().join("b/years.csv").display().to_string();
    std::fs::write(&experiment, text("").replace(&b, &years)).unwrap();
    refused(mappa(lab.path(), &["run", experiment.to_str().unwrap()]), &["years"]);
    assert!(!has_activations(lab.path()));
}

#[test]
fn long_settings_have_a_folder_of_bounded_name() {
    let lab = new_lab();
    let alphas: Vec<String> = (1..=100).map(|alpha| alpha.to_string()).collect();
    for more in [["--alphas", &alphas.join(",")], ["--split", "blocks:1e-300"]] {
        let args = [&["probe", "--dataset", "towns", "--no-baselines"][..], &more].concat();
        done(mappa(lab.path(), &args));
        assert!(done(mappa(lab.path(), &args)).contains("probed before"), "{more:?}");
    }
    let folders = std::fs::read_dir(lab.path().join("probes/atlas/towns")).unwrap();
    let names: Vec<String> = folders.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.len() <= 255), "{names:?}");
    for name in names {
        done(mappa(lab.path(), &["probe", "geometry", "--dataset", "towns", "--prompt", &name]));
    }
}

#[test]
fn probes_of_other_settings_are_refused_before_anything_is_extracted() {
    let lab = new_lab();
    let probe = ["probe", "--dataset", "towns", "--no-baselines"];
    done(mappa(lab.path(), &probe));
    std::fs::remove_dir_all(lab.path().join("activations")).unwrap();
    refused(mappa(lab.path(), &[&probe[..], &["--resamples", "7"]].concat()), &["resamples 500, now 7"]);
    assert!(!has_activations(lab.path()));
}

#[test]
fn targets_too_small_for_squares_are_refused_and_other_units_change_nothing() {
    let lab = new_lab();
    let with = |unit: f64| {
        let mut text = "name,size,is_test\n".to_string();
        for i in 0..48_u32 {
            let size = f64::from((i * 7) % 60) * unit;
            text += &format!("{} {i},{size:e},{}\n", ["Oslo", "Rome", "Lima"][(i % 3) as usize], i % 4 == 0);
        }
        std::fs::write(lab.path().join("rivers.csv"), text).unwrap();
        let file = lab.path().join("rivers.csv").display().to_string();
        let import = ["datasets", "import", &file, "--target", "size", "--unit", "kg", "--replace"];
        done(mappa(lab.path(), &import));
        for folder in ["probes", "activations"] {
            _ = std::fs::remove_dir_all(lab.path().join(folder));
        }
        mappa(lab.path(), &["probe", "--dataset", "rivers", "--no-baselines", "--resamples", "5"])
    };
    let scores = || -> Vec<f64> {
        let text = lab.path().join("probes/atlas/rivers/empty.alone/scores.csv");
        let text = std::fs::read_to_string(text).unwrap();
        let rows = text.lines().filter(|line| line.contains("leave-one-out,r2,size,"));
        rows.map(|row| row.split("r2,size,").nth(1).unwrap().split(',').next().unwrap().parse().unwrap())
            .collect()
    };
    done(with(1.0));
    let usual = scores();
    for unit in [1e-30, 1e-100, 1e36] {
        done(with(unit));
        let largest = usual.iter().zip(scores()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(usual.len() == 7 && largest < 1e-9, "{unit:e}: {largest:e}");
    }
    for unit in [1e-160, 1e-320] {
        refused(with(unit), &["size of rivers", "a larger unit"]);
        assert!(!has_activations(lab.path()));
    }
}
