//! A machine joins a cluster: `evmsd invite` has the others agree on it and prints a token, one line; `evmsd join` makes of it
//! what the new machine needs to have. It joins without a vote, and gets that when it was a member for a moment.

use core::net::IpAddr;
use std::path::Path;

use crate::base::failure::{Failure, Kind};
use crate::base::id::{NodeId, NodeUuid};
use crate::base::limits::NODE_ID_MAX;
use crate::base::name::Name;
use crate::cluster::configuration::Voter;
use crate::cluster::roster::{Member, Roster};
pub use crate::cluster::token::TOKEN_BYTES_MAX;
use crate::cluster::token::{Token, WORD};
use crate::host::identity::{self, IdentityError, IdentityFiles};
use crate::host::secret::{self, BadFile};
use crate::host::{entropy, entropy::NoEntropy};
use crate::run::ask::{self, AskError};
use crate::run::daemon::settings::{CONFIG, KEY};
use crate::run::daemon::{DaemonError, agreed, founding, settings};

/// Votes that a node gets.
const VOTES: u16 = 1;
/// So many ids left are few.
const IDS_FEW_MAX: u16 = 8;

/// Why nobody joins.
#[derive(Debug)]
pub enum JoinError {
    /// The daemon did not do what it was asked.
    Asked(AskError),
    /// A file stands in the way, or cannot be made.
    Daemon(DaemonError),
    /// Who this machine is cannot be told.
    Identity(IdentityError),
    /// No random numbers.
    Entropy(NoEntropy),
    /// All ids were given out.
    Full,
    /// This node was invited as another machine, and has not come.
    Waits {
        /// The node.
        node: Name,
        /// The machine that it was invited as.
        known: NodeUuid,
        /// The machine that was named now.
        named: NodeUuid,
        /// The generation after the present one.
        next: u64,
    },
    /// There is a node of this name, or machine.
    There(String),
    /// It has another number of links than the others.
    Links(usize, usize),
    /// What the daemon goes by cannot be read.
    Strange,
    /// It is no token.
    NoToken,
    /// This machine is another one already than this node's.
    OtherMachine(String, NodeUuid),
    /// There is another key here.
    OtherKey,
}

impl core::fmt::Display for JoinError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            JoinError::Asked(error) => write!(f, "{error}"),
            JoinError::Daemon(error) => write!(f, "{error}"),
            JoinError::Identity(error) => write!(f, "{error}"),
            JoinError::Entropy(error) => write!(f, "{error}"),
            JoinError::Full => {
                write!(
                    f,
                    "this cluster has given out all its {NODE_ID_MAX} ids of nodes since it was founded, and none is used again, \
                     not of a node that was taken out either: what that wrote on shared disks is its own; nothing was changed; a \
                     machine that is a node still needs no new one, and goes on by its own /etc/evms.conf, /etc/evms/key, \
                     /etc/evms/node and /var/lib/evms (put back what is lost); for more machines found a new cluster"
                )
            }
            JoinError::There(what) => {
                write!(f, "{what} is in the cluster already; nothing was changed; see 'evms list nodes'")
            }
            JoinError::Links(has, first) => write!(
                f,
                "{has} links are named and the other nodes have {first}; name as many, in the same order of networks; nothing \
                 was changed"
            ),
            JoinError::Strange => {
                write!(
                    f,
                    "what evmsd goes by cannot be read; use an evmsd of this release; nothing was changed"
                )
            }
            JoinError::NoToken => write!(
                f,
                "that is no token, or not all of it; nothing was made; it is one line that begins with {WORD} and comes from \
                 'evmsd invite' on a node of the cluster"
            ),
            JoinError::Waits { node, known, named, next } => write!(
                f,
                "node {node} was invited as machine {known}, and not as {named}; nothing was changed; take it out first: its \
                 [[node]] out of {CONFIG} on this node, generation = {next}, and SIGHUP to evmsd; then say this again"
            ),
            JoinError::OtherMachine(node, machine) => write!(
                f,
                "this machine is {machine} already and the token is for another; nothing was made; on a node of the cluster, take \
                 {node} out (its [[node]] out of {CONFIG}, the next generation, and SIGHUP to evmsd), and invite it anew with: \
                 --machine {machine}"
            ),
            JoinError::OtherKey => write!(
                f,
                "{KEY} is there and is another key; nothing was made; move it away if it belongs to a cluster that is gone"
            ),
        }
    }
}

impl Failure for JoinError {
    fn kind(&self) -> Kind {
        match self {
            JoinError::Asked(error) => error.kind(),
            JoinError::Daemon(error) => error.kind(),
            JoinError::NoToken => Kind::Usage,
            _ => Kind::Refused,
        }
    }
}

/// A node that was invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// What its machine joins by.
    pub token: String,
    /// What whoever invites should know of.
    pub warning: Option<String>,
}

/// Has the cluster agree on a new node; the token for it.
pub fn invite(node: Name, links: Vec<IpAddr>, machine: Option<NodeUuid>) -> Result<Invited, JoinError> {
    let keys = settings::keys().map_err(JoinError::Daemon)?;
    let key = keys.first().ok_or(JoinError::Strange)?;
    let text = ask::configuration().map_err(JoinError::Asked)?;
    let before = Roster::parse(&text).map_err(|_| JoinError::Strange)?;
    let token = |machine, roster: Roster| Invited {
        warning: few_left(&roster),
        token: Token { key: key.to_line(), machine, roster }.to_line(),
    };
    // A token that was lost is made again.
    if let Some(known) = invited(&before, &node, &links, machine)? {
        return Ok(token(known, before));
    }
    let machine = match machine {
        Some(machine) => machine,
        None => NodeUuid::random(&mut entropy::dice().map_err(JoinError::Entropy)?),
    };
    let roster = with_node(before, node, links, machine)?;
    ask::propose(&roster.to_text()).map_err(JoinError::Asked)?;
    Ok(token(machine, roster))
}

/// The machine of a node that was invited just so, and has not come yet: as this one, where one is named, for the token says
/// which it is.
fn invited(
    roster: &Roster,
    node: &Name,
    links: &[IpAddr],
    named: Option<NodeUuid>,
) -> Result<Option<NodeUuid>, JoinError> {
    let waits = |id: &NodeId| {
        roster.members.get(id).is_some_and(|member| member.joining > 0 && member.links == links)
    };
    let id = roster.node_named(node.as_str()).filter(waits);
    let Some(voter) = id.and_then(|id| roster.configuration.nodes.get(&id)) else { return Ok(None) };
    match named.filter(|named| *named != voter.uuid) {
        None => Ok(Some(voter.uuid)),
        Some(named) => Err(JoinError::Waits {
            node: node.clone(),
            known: voter.uuid,
            named,
            next: roster.configuration.generation.saturating_add(1),
        }),
    }
}

/// In words that hardly any more nodes can be invited, while something can be done about it.
fn few_left(roster: &Roster) -> Option<String> {
    let left = NODE_ID_MAX.saturating_sub(roster.highest().0);
    (left <= IDS_FEW_MAX).then(|| {
        format!(
            "this cluster has {left} of its {NODE_ID_MAX} ids of nodes left, and none is used again; let machines that are to come \
             back be nodes still rather than take them out and invite them anew"
        )
    })
}

fn with_node(
    mut roster: Roster,
    node: Name,
    links: Vec<IpAddr>,
    machine: NodeUuid,
) -> Result<Roster, JoinError> {
    if roster.node_named(node.as_str()).is_some() {
        return Err(JoinError::There(format!("node {node}")));
    }
    if roster.node_of(machine).is_some() {
        return Err(JoinError::There(format!("machine {machine}")));
    }
    let first = roster.members.values().next().map_or(1, |member| member.links.len());
    if links.len() != first {
        return Err(JoinError::Links(links.len(), first));
    }
    let id = roster
        .highest()
        .0
        .checked_add(1)
        .filter(|id| *id <= NODE_ID_MAX)
        .map(NodeId)
        .ok_or(JoinError::Full)?;
    roster.members.insert(id, Member { name: node, links, joining: VOTES });
    roster.configuration.nodes.insert(id, Voter { uuid: machine, votes: 0 });
    let generation = roster.configuration.generation.checked_add(1).ok_or(JoinError::Strange)?;
    roster.configuration.generation = generation;
    Ok(roster)
}

/// Makes what this machine needs; in words what it is now.
pub fn join(line: &str) -> Result<String, JoinError> {
    let token = Token::parse(line).ok_or(JoinError::NoToken)?;
    let file = |bad| JoinError::Daemon(DaemonError::File(bad));
    let config = Path::new(CONFIG);
    if secret::text(config).is_ok() {
        return Err(file(BadFile::Exists(config.into())));
    }
    let _room = founding::hold_room().map_err(JoinError::Daemon)?;
    let before = agreed::going_by().map_err(JoinError::Daemon)?;
    let is_new = agreed::may_begin(before.as_ref(), &token.roster).map_err(JoinError::Daemon)?;
    let files = IdentityFiles::default();
    let known = identity::node_uuid(&files).map_err(JoinError::Identity)?;
    if let Some(known) = known.filter(|known| *known != token.machine) {
        let node = token.roster.node_of(token.machine).unwrap_or_default();
        return Err(JoinError::OtherMachine(token.roster.name_of(node), known));
    }
    let key = Path::new(KEY);
    match secret::secret(key) {
        Err(BadFile::Missing(_)) => secret::make(key, &[&token.key, "\n"].concat()).map_err(file)?,
        Ok(text) if text.lines().any(|line| line.trim() == token.key) => (),
        Ok(_) => return Err(JoinError::OtherKey),
        Err(bad) => return Err(file(bad)),
    }
    if known.is_none() {
        secret::make(&files.node, &format!("{}\n", token.machine)).map_err(file)?;
    }
    let roster = match &before {
        Some(before) => token.roster.following(before),
        None => token.roster,
    };
    if is_new {
        // It was agreed on; that it was ever in force here is another thing.
        agreed::keep(&roster, false).map_err(JoinError::Daemon)?;
    }
    // What makes it a node goes last.
    secret::make(config, &roster.to_text()).map_err(file)?;
    let node = roster.node_of(token.machine).unwrap_or_default();
    Ok(format!("this machine is node {} of cluster {} now; start evmsd", roster.name_of(node), roster.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        Roster::parse(
            "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = 4\n[[node]]\nid = 3\nname = \"n3\"\n\
             machine = \"22222222-2222-4222-8222-222222222222\"\nlinks = [\"10.0.0.3\"]\n",
        )
        .unwrap()
    }

    #[test]
    fn who_is_there_is_not_invited_again() {
        let link = || vec!["10.0.0.4".parse().unwrap()];
        let named = |name: &str| Name::parse(name).unwrap();
        let there = with_node(roster(), named("n3"), link(), NodeUuid([9; 16]));
        assert!(matches!(there, Err(JoinError::There(_))));
        let machine = NodeUuid::parse("22222222-2222-4222-8222-222222222222").unwrap();
        assert!(matches!(with_node(roster(), named("n4"), link(), machine), Err(JoinError::There(_))));
        let next = with_node(roster(), named("n4"), link(), NodeUuid([9; 16])).unwrap();
        assert_eq!(next.configuration.generation, 5);
        let voter = Voter { uuid: NodeUuid([9; 16]), votes: 0 };
        assert_eq!(next.configuration.nodes.get(&NodeId(4)), Some(&voter));
        assert_eq!(next.members.get(&NodeId(4)).unwrap().joining, 1);
        assert!(matches!(
            with_node(roster(), named("n4"), Vec::new(), NodeUuid([9; 16])),
            Err(JoinError::Links(0, 1))
        ));
    }

    #[test]
    fn who_was_invited_as_one_machine_is_not_another() {
        let (name, link) = (Name::parse("n4").unwrap(), vec!["10.0.0.4".parse().unwrap()]);
        let (known, other) = (NodeUuid([9; 16]), NodeUuid([8; 16]));
        let again = |roster: &Roster, named| invited(roster, &name, &link, named);
        assert_eq!(again(&roster(), Some(other)).unwrap(), None);
        let roster = with_node(roster(), name.clone(), link.clone(), known).unwrap();
        for named in [None, Some(known)] {
            assert_eq!(again(&roster, named).unwrap(), Some(known), "the same token again");
        }
        let told = again(&roster, Some(other)).unwrap_err();
        assert!(matches!(told, JoinError::Waits { next: 6, .. }));
        let words = told.to_string();
        assert!(words.contains(&known.to_string()) && words.contains("generation = 6"), "{words}");
    }

    #[test]
    fn an_id_is_not_used_again_and_few_are_told() {
        let invite = |highest: u16| {
            let roster = Roster { highest, ..roster() };
            with_node(
                roster,
                Name::parse("n4").unwrap(),
                vec!["10.0.0.4".parse().unwrap()],
                NodeUuid([9; 16]),
            )
        };
        let left = |highest| few_left(&invite(highest).unwrap());
        assert_eq!(left(NODE_ID_MAX - IDS_FEW_MAX - 2), None);
        assert!(left(NODE_ID_MAX - IDS_FEW_MAX - 1).unwrap().contains("8 of its 64 ids"));
        assert!(left(NODE_ID_MAX - 1).unwrap().contains("0 of its 64 ids"));
        // One node is there, and it is full all the same: nobody can be taken out to make room.
        let told = invite(NODE_ID_MAX).unwrap_err().to_string();
        assert!(told.contains("none is used again") && !told.contains("take a node out"), "{told}");
    }
}
