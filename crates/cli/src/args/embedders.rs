//! Arguments of `embedders`.

use clap::Subcommand;

/// Commands on the vectors of several embedders.
#[derive(Debug, Subcommand)]
pub enum Embedders {
    /// Lists the embedders this archive has vectors of, and how far each is
    #[command(after_help = "Examples:\n  fontes embedders list\n  fontes embedders list --json")]
    List,
    /// Computes vectors of another embedder beside those that are searched; run it again to go on or to catch up
    #[command(
        after_help = "Examples:\n  fontes embedders add all-minilm-l6-v2\n  fontes embedders add multilingual-e5-small@256    only the first 256 dimensions\n  fontes embedders add all-minilm-l6-v2 --later      then `fontes serve` computes them while it answers"
    )]
    Add {
        /// An installed embedder, or NAME@N for the first N dimensions of its vectors
        #[arg(value_name = "NAME[@N]")]
        name: String,
        /// Only note that they are wanted
        #[arg(long)]
        later: bool,
    },
    /// Searches with the vectors of this embedder from now on, once none is missing
    #[command(
        after_help = "Examples:\n  fontes embedders use all-minilm-l6-v2\n  fontes embedders use multilingual-e5-small@384"
    )]
    Use {
        /// As `list` shows it; the model's name alone where that is clear
        #[arg(value_name = "NAME[@N]")]
        name: String,
    },
    /// Takes the vectors of an embedder away; not those that are searched
    #[command(
        after_help = "Examples:\n  fontes embedders drop multilingual-e5-small\n  fontes embedders drop multilingual-e5-small@256 --json"
    )]
    Drop {
        /// As `list` shows it; the model's name alone where that is clear
        #[arg(value_name = "NAME[@N]")]
        name: String,
    },
}
