//! `fontes serve`: the page and the HTTP interface on loopback.

use std::{net::SocketAddr, sync::Arc};

use fontes_core::Cancel;

use super::embedders;
use crate::{
    config::Config,
    interrupt,
    output::{Outcome, Voice},
    wiring::{self, Archive},
};

/// How often the stop flag is looked at.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);

/// Runs until Ctrl-C or SIGTERM, then lets running answers finish.
pub fn run(config: &Config, voice: Voice, listen: Option<SocketAddr>) -> anyhow::Result<Outcome> {
    let address = listen.unwrap_or(config.server.listen);
    fontes_server::loopback_only(address)?;
    let cancel = interrupt::install()?;
    let archive = Archive::open(config)?;
    let generator = wiring::generator(config, None)?;
    let writer = generator.as_ref().map_or("quoting only".to_owned(), |generator| generator.identity().name.clone());
    let site = Arc::new(archive.site(config, generator)?);
    // Ends with the server, whatever ends it.
    let building = cancel.clone();
    std::thread::scope(|threads| {
        threads.spawn(|| embedders::build_beside(&archive, config, voice, &building));
        let served = serve(site, address, &writer, voice, cancel);
        building.cancel();
        served
    })
}

/// Serves until it is asked to stop.
fn serve(
    site: Arc<fontes_server::Site>,
    address: SocketAddr,
    writer: &str,
    voice: Voice,
    cancel: Cancel,
) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = fontes_server::bind(address).await?;
        let address = listener.local_addr()?;
        if voice.json {
            voice.object(&serde_json::json!({ "listening": address }))?;
        }
        voice.remark(&format!("listening on http://{address} ({writer}); Ctrl-C stops"));
        let stop = async move {
            while !cancel.is_cancelled() {
                tokio::time::sleep(TICK).await;
            }
        };
        fontes_server::serve(site, listener, stop).await?;
        anyhow::Ok(())
    })?;
    Ok(Outcome::Done)
}
