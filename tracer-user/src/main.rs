//! The command line of devres-tracer.

fn main() -> anyhow::Result<()> {
    anyhow::bail!("no command is there yet")
}
