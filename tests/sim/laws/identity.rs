//! F25: of two machines with one id the second is refused: nobody takes another boot of a node for it that heard the one
//! before within the last window, but when that left.

use std::collections::BTreeMap;
use std::sync::Arc;

use evms::base::id::{Incarnation, NodeId};
use evms::base::time::BootTime;
use evms::cluster::beat::{Beat, BeatNumber};
use evms::cluster::membership::Membership;
use evms::cluster::timing::Timing;

use crate::laws::Broken;

/// What one incarnation was told by each boot of each node: the newest beat, when that came by its clock, and may another boot
/// follow, because it left, or because the daemon was restarted since and need not know of it?
#[derive(Default)]
pub struct Told(BTreeMap<(NodeId, Incarnation), (BeatNumber, BootTime, bool)>);

impl Told {
    /// The daemon is restarted. What is late then is late still.
    pub fn restart(&mut self) {
        self.0.values_mut().for_each(|(_, _, free)| *free = true);
    }

    /// Hands a beat to a daemon and looks whom it takes for that node.
    pub fn hear(
        &mut self,
        daemon: &mut Membership,
        now: BootTime,
        beat: &Arc<Beat>,
        timing: &Timing,
    ) -> Result<(), Broken> {
        let boot_of = |daemon: &Membership| daemon.peer(beat.node, now).map(|peer| peer.incarnation);
        let before = boot_of(daemon);
        daemon.hear(now, beat);
        let after = boot_of(daemon);
        let lived =
            before.filter(|boot| after != Some(*boot)).and_then(|boot| self.0.get(&(beat.node, boot)));
        let silent_ms = |at: BootTime| now.ms.saturating_sub(at.ms);
        if let Some((_, at, false)) = lived.filter(|(_, at, _)| silent_ms(*at) + 1 < timing.window_ms) {
            let words = format!(
                "node {} takes another boot for node {}, {} ms after the one before spoke",
                daemon.node(),
                beat.node,
                silent_ms(*at)
            );
            return Err(Broken { law: "F25", words });
        }
        // What comes late is no sign of life, and what is refused for another reason is none to this daemon.
        if daemon.peer(beat.node, now).is_none_or(|peer| peer.last != now) {
            return Ok(());
        }
        let newest = self.0.entry((beat.node, beat.incarnation)).or_insert((beat.number, now, beat.left));
        if newest.0 < beat.number {
            *newest = (beat.number, now, beat.left);
        }
        Ok(())
    }
}
