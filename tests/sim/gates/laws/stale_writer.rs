//! L2 (I1): no write of an old owner, or of a life that was counted out, reaches a disk after the commit by which it was, nor after
//! another one's first. And L8: through a gate passes nothing of a node of which the container's disks tell nothing, for whoever finds
//! that node silent would take it for harmless.

use evms::base::id::NodeUuid;

use crate::gates::errand::Stamp;
use crate::gates::laws::Laws;
use crate::gates::world::PRIVATE;
use crate::laws::Broken;

impl Laws {
    /// A write passes a gate.
    pub fn passes(
        &mut self,
        container: usize,
        place: usize,
        node: NodeUuid,
        stamp: Stamp,
    ) -> Result<(), Broken> {
        let admitted = self.committed(container).is_some_and(|model| model.container.holder(node).is_some());
        if !admitted {
            let words = format!(
                "machine {place} writes to container {container}, whose disks say that it has no gates"
            );
            return Err(Broken { law: "L8", words });
        }
        let told = &mut self.told[container];
        if container == PRIVATE && told.writes.is_none_or(|(_, epoch)| epoch < stamp.epoch) {
            told.writes = Some((place, stamp.epoch));
        }
        Ok(())
    }

    /// It reaches its disk.
    pub fn lands(&mut self, container: usize, place: usize, boot: u64, stamp: Stamp) -> Result<(), Broken> {
        let told = &self.told[container];
        if stamp.epoch < told.out[place] {
            let words = format!(
                "a write of machine {place}, boot {boot}, under {:?} reaches container {container}, and {:?} counted it out",
                stamp.epoch, told.out[place]
            );
            return Err(Broken { law: "L2", words });
        }
        match told.writes {
            Some((other, epoch)) if container == PRIVATE && other != place && epoch > stamp.epoch => {
                let words = format!(
                    "a write of machine {place}, boot {boot}, under {:?} reaches the private container after machine {other} began \
                     to write under {epoch:?}",
                    stamp.epoch
                );
                Err(Broken { law: "L2", words })
            }
            _ => Ok(()),
        }
    }
}
