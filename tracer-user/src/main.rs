//! The command line of devres-tracer.
use devres_tracer::source::live::{Live, Options};
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let begin = std::time::Instant::now();
    let mut live = Live::start(&Options::default())?;
    eprintln!("start {:?}", begin.elapsed());
    for hook in &live.coverage().hooks {
        eprintln!("{hook:?}");
    }
    eprintln!("{:?}", live.coverage().before);
    let seconds: u64 = std::env::args().nth(1).map_or(3, |s| s.parse().unwrap());
    let mut child = std::env::args().nth(2).map(|c| {
        std::process::Command::new("sh")
            .arg("-c")
            .arg(c)
            .spawn()
            .unwrap()
    });
    let mut n = 0u64;
    for _ in 0..seconds * 100 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        live.drain(100000, &mut |event| {
            n += 1;
            println!("{event:?}");
        });
        if let Some(c) = &mut child {
            if c.try_wait()?.is_some() {
                break;
            }
        }
    }
    live.drain_all(&mut |event| {
        n += 1;
        println!("{event:?}");
    });
    eprintln!("{n} events, lost {:?}", live.lost_by_hook());
    Ok(())
}
