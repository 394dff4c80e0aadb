//! Measures one figure of `docs/performance.md`. `cargo xtask bench` says where the parts are.

use clap::{Parser, builder::PossibleValuesParser};
use lazymesh_e2e::bench;

#[derive(Parser)]
#[command(about = "Measures one figure of docs/performance.md.")]
struct Arguments {
    #[arg(value_parser = PossibleValuesParser::new(bench::NAMES))]
    name: String,
    /// One JSON object per line instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    for row in bench::run(&arguments.name)? {
        if arguments.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            println!(
                "{:<18} {:>16.3} {:<10} baseline {:>16.3}  ratio {:.3}",
                row.name, row.value, row.unit, row.baseline, row.ratio
            );
        }
    }
    Ok(())
}
