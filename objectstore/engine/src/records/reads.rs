//! Reading on the spot or on the blocking pool.

use std::sync::Arc;

use super::core::Core;
use super::engine::Engine;
use super::fault::Fault;

/// Reads: on the spot from `arguments` while reads are fast, otherwise on the blocking pool from
/// what `owned` makes of them.
pub(super) async fn read<E: Engine, A, O: Send + 'static, T: Send + 'static>(
    core: &Arc<Core<E>>,
    arguments: &A,
    owned: impl FnOnce(&A) -> O,
    on_spot: impl Fn(&Core<E>, &E, &A) -> Result<T, Fault>,
    off_thread: impl Fn(&Core<E>, &E, &O) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    if core.heat.is_hot() {
        match core
            .heat
            .observe(|| core.try_with(|engine| on_spot(core, engine, arguments)))
        {
            None | Some(Err(Fault::Stopped { .. })) => {}
            Some(done) => return done,
        }
    }
    let (core, owned) = (Arc::clone(core), owned(arguments));
    let reading = tokio::task::spawn_blocking(move || {
        core.with_retry(|engine| core.heat.observe(|| off_thread(&core, engine, &owned)))
    });
    reading.await.unwrap_or_else(|e| {
        Err(Fault::io(
            "the blocking task did not finish",
            std::io::Error::other(e),
        ))
    })
}
