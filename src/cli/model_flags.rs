//! The flags of a model.

use super::observer::TerminalObserver;
use clap::Args;
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::lab::{Lab, ModelSettings, suggest};
use mappa::model::{BUNDLED_MODEL, Compute, DeviceChoice, Model, Precision};

/// The model, its data types and its device.
#[derive(Args)]
pub(super) struct ModelFlags {
    /// A model's name, folder, GGUF file, or hub name such as EleutherAI/pythia-160m[@revision].
    #[arg(long = "model", value_name = "MODEL", default_value = BUNDLED_MODEL)]
    pub name: String,
    /// The model's name in folders and result rows [default: the name of its folder or file].
    #[arg(long, value_name = "NAME", value_parser = |name: &str| FolderName::new("--model-name", name))]
    pub model_name: Option<FolderName>,
    /// Data type of the weights: f32, f16, bf16, or auto (as stored) [default: auto for a GGUF file, otherwise f32].
    #[arg(long, value_name = "DTYPE")]
    pub dtype: Option<Precision>,
    /// Device: cpu, or cuda or metal in a program built with --features cuda or metal.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// Data type of the blocks' matrix products: f32, bf16 (AVX-512 BF16), or q8 (8-bit, for quantised weights).
    ///
    /// q8 computes as llama.cpp does.
    #[arg(long, default_value = "f32", value_name = "NUMBERS")]
    pub compute: Compute,
}

impl ModelFlags {
    /// The settings.
    pub(super) fn settings(&self) -> ModelSettings {
        ModelSettings {
            name: self.name.clone(),
            model_name: self.model_name.clone(),
            dtype: self.dtype,
            device: self.device,
            compute: self.compute,
        }
    }

    /// Opens the model.
    pub(super) fn open(&self, lab: &Lab, observer: &mut TerminalObserver) -> Result<Model> {
        self.settings().open(lab, observer)
    }

    /// The flags with values that are not the default, as text.
    pub(super) fn flags(&self) -> String {
        suggest::flags(&self.settings())
    }
}
