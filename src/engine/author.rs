//! The author of real changes: asks the guard whether this machine may, and the planner what the next model is.

use std::fmt;

use crate::base::dice::Dice;
use crate::base::epoch::{Epoch, Order};
use crate::base::failure::{Failure, Kind};
use crate::base::id::{DiskNumber, Incarnation, NodeUuid};
use crate::base::small_set::SmallSet;
use crate::engine::change::{Author, Joiner, Work};
use crate::engine::guard::{self, Act, Denied, Mandate, Place, Principal};
use crate::format::label::Label;
use crate::format::model::{Change, ChangeKind, Model};
use crate::volume::choose::Chosen;
use crate::volume::commit::Member;
use crate::volume::plan::{self, Asker, Outcome, Refusal};
use crate::volume::request::Request;

/// Why an author would not.
#[derive(Clone, Debug)]
pub enum Why {
    /// The guard says no.
    Denied(Denied),
    /// The planner says no.
    Refused(Box<Refusal>),
    /// A disk that joins was planned without a number; a fault of evms.
    NoNumber,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Denied(denied) => denied.fmt(f),
            Why::Refused(refusal) => refusal.fmt(f),
            Why::NoNumber => write!(
                f,
                "a disk that was to join got no number; nothing was written; this is a fault of evms, report it"
            ),
        }
    }
}

impl std::error::Error for Why {}

impl Failure for Why {
    fn kind(&self) -> Kind {
        match self {
            Why::Denied(denied) => denied.kind(),
            Why::Refused(refusal) => refusal.kind(),
            Why::NoNumber => Kind::Refused,
        }
    }
}

/// Plans one request, under the guard.
#[derive(Clone, Debug)]
pub struct Planner {
    /// Who asks.
    pub asker: Asker,
    /// As whom the guard sees it.
    pub principal: Principal,
    /// Where the container lives.
    pub place: Place,
    /// What the act is to the guard.
    pub act: Act,
    /// What is asked; `None` only opens and finishes what others began.
    pub request: Option<Request>,
    /// Labels of disks that join, their number still to be set, in the order of the request.
    pub joiners: Vec<Joiner>,
    /// The first model, where a container is founded.
    pub first: Option<Model>,
    /// For new ids.
    pub dice: Dice,
    /// What was done, in words, once planned.
    pub words: Option<String>,
    /// Nothing was to be done, and why.
    pub already: Option<String>,
}

impl Planner {
    fn opening_words(&self, kind: ChangeKind) -> Change {
        Change { kind, text: "opened".into(), by: self.asker.machine.name.clone(), at: self.asker.at }
    }

    /// A container that changes hands does so in the opening itself (safety 2.2): whoever is cut off in the middle has taken it, or its
    /// owner finds it as he left it.
    fn taken(&mut self, chosen: &Chosen, epoch: Epoch) -> Result<Option<Model>, Why> {
        let comes_over = guard::comes_over(&chosen.model.container, self.act);
        let takes = |request: &mut Request| {
            comes_over || matches!(request, Request::Takeover { .. } | Request::Expel { .. })
        };
        // What is done in the opening is not asked for after it.
        let Some(request) = self.request.take_if(takes) else { return Ok(None) };
        let order = Order { epoch, ..chosen.image.header.order };
        let mut marked = chosen.model.clone();
        let read = chosen.read.iter().copied().collect::<Vec<_>>();
        plan::mark_absent(&mut marked, &read, order.generation);
        let outcome = plan::plan(&marked, order, &request, &self.asker, &mut self.dice);
        match outcome.map_err(|refusal| Why::Refused(Box::new(refusal)))? {
            Outcome::AlreadySo(words) => {
                self.already = Some(words);
                Ok(None)
            }
            Outcome::Next(planned) => {
                self.words = Some(planned.words);
                Ok(Some(planned.model))
            }
        }
    }

    /// Gives joiners the numbers that the plan gave their disks.
    fn number(&self, model: &Model) -> Option<Vec<Joiner>> {
        let numbered = self.joiners.iter().map(|joiner| {
            let number = model.disk_by_id(joiner.member.id)?.number;
            Some(Joiner {
                member: Member { number, ..joiner.member.clone() },
                label: Label { number, ..joiner.label.clone() },
                size: joiner.size,
            })
        });
        numbered.collect()
    }
}

impl Author for Planner {
    type Refusal = Why;

    fn rests_on_view(&self) -> bool {
        matches!(self.act, Act::Takeover(_) | Act::Expel(_) | Act::Regain)
    }

    fn past(&self) -> Option<(NodeUuid, Incarnation)> {
        match self.act {
            Act::Takeover(evidence) | Act::Expel(evidence) => evidence.past(),
            _ => None,
        }
    }

    fn goes_on(&self) -> bool {
        self.act == Act::Regain && self.request.is_none()
    }

    fn open(&mut self, found: Option<&Chosen>, next: Order) -> Result<(Mandate, Model), Why> {
        if let Some(chosen) = found {
            let mandate =
                guard::may(&chosen.model, &self.principal, self.place, self.act).map_err(Why::Denied)?;
            let written = chosen.image.header.configuration;
            guard::refuse_outdated(&chosen.model.container, written, &self.principal).map_err(Why::Denied)?;
            let model = match self.taken(chosen, next.epoch)? {
                Some(model) => model,
                None => Model { change: self.opening_words(ChangeKind::Opening), ..chosen.model.clone() },
            };
            return Ok((mandate, model));
        }
        let mut model = self.first.clone().ok_or(Why::NoNumber)?;
        plan::found(&mut model, next);
        let warrant = self.principal.warrant_of(model.container.cluster);
        Ok((guard::may_found(model.container.id, warrant), model))
    }

    fn change(
        &mut self,
        model: &Model,
        at: Order,
        reached: &SmallSet<DiskNumber>,
    ) -> Result<Option<Work>, Why> {
        let Some(request) = &self.request else { return Ok(None) };
        let mut marked = model.clone();
        let reached = reached.iter().copied().collect::<Vec<_>>();
        plan::mark_absent(&mut marked, &reached, at.generation);
        let outcome = plan::plan(&marked, at, request, &self.asker, &mut self.dice);
        match outcome.map_err(|refusal| Why::Refused(Box::new(refusal)))? {
            Outcome::AlreadySo(words) => {
                self.already = Some(words);
                Ok(None)
            }
            Outcome::Next(planned) => {
                self.words = Some(planned.words);
                let join = self.number(&planned.model).ok_or(Why::NoNumber)?;
                Ok(Some(Work { model: planned.model, join }))
            }
        }
    }
}
