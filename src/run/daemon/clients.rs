//! Who asks the daemon: a task each, so that a slow one keeps nobody waiting, and a limit, so that many do not either.

use std::cell::Cell;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor, Timer};

use crate::format::control::{
    self, BadFrame, LENGTH_BYTES, QUESTION_BYTES_MAX, Question, Refusal, Reply, Request,
};
use crate::host::{door, wait};
use crate::run::daemon::engine::Engine;

/// Clients at one time.
const CLIENTS_MAX: usize = 64;
/// How long a client may take to ask, or to take an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked whether a client that waits is still there.
const LOOK: Duration = Duration::from_millis(500);
/// How often who watches is told, though nothing changed.
const WATCH: Duration = Duration::from_secs(1);

/// Why a client is left.
struct Gone;

impl<E: std::error::Error> From<E> for Gone {
    fn from(_: E) -> Gone {
        Gone
    }
}

/// Takes clients in, for ever.
pub async fn listen(executor: Rc<LocalExecutor<'_>>, engine: Rc<Engine>, door: Async<UnixListener>) {
    let clients = Rc::new(Cell::new(0));
    loop {
        let Ok((client, _)) = door.accept().await else {
            // No descriptors left, perhaps: they will come back.
            Timer::after(Duration::from_millis(100)).await;
            continue;
        };
        if !door::may_ask(client.get_ref()) {
            continue;
        }
        if clients.get() >= CLIENTS_MAX {
            send_away(&client);
            continue;
        }
        let (engine, count) = (Rc::clone(&engine), Rc::clone(&clients));
        count.set(count.get() + 1);
        let serving = async move {
            let _ = serve(&engine, client).await;
            count.set(count.get() - 1);
        };
        executor.spawn(serving).detach();
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Gone>>) -> Result<T, Gone> {
    smol::future::or(work, async {
        Timer::after(PATIENCE).await;
        Err(Gone)
    })
    .await
}

async fn answer(client: &mut Async<UnixStream>, value: &impl Serialize) -> Result<(), Gone> {
    let frame = control::encode(value);
    in_time(async { Ok(client.write_all(&frame).await?) }).await
}

async fn question(client: &mut Async<UnixStream>) -> Result<Result<Question, BadFrame>, Gone> {
    let mut head = [0; LENGTH_BYTES];
    // Between two requests a client may think as long as it likes.
    client.read_exact(&mut head).await?;
    let length = match control::length_of(head) {
        Ok(length) if length > QUESTION_BYTES_MAX => return Ok(Err(BadFrame::TooLong(length))),
        Ok(length) => length,
        Err(bad) => return Ok(Err(bad)),
    };
    let mut body = vec![0; length];
    in_time(async { Ok(client.read_exact(&mut body).await?) }).await?;
    Ok(control::decode(&body))
}

async fn serve(engine: &Engine, mut client: Async<UnixStream>) -> Result<(), Gone> {
    loop {
        match question(&mut client).await? {
            Ok(Question { node, request: Request::Watch }) if node.is_empty() => {
                return watch(engine, client).await;
            }
            Ok(question) => {
                let reply = smol::future::or(in_full(engine, &question), gone(&client)).await?;
                answer(&mut client, &reply).await?;
            }
            Err(bad) => {
                let words = refusal(bad);
                answer(&mut client, &Reply::Refused(Refusal::Unknown, words)).await?;
                // Where its next request begins cannot be told.
                return Err(Gone);
            }
        }
    }
}

async fn in_full(engine: &Engine, question: &Question) -> Result<Reply, Gone> {
    Ok(engine.answer_question(question).await)
}

/// Until the client is gone: what it asked is not to go on for nobody.
async fn gone(client: &Async<UnixStream>) -> Result<Reply, Gone> {
    loop {
        Timer::after(LOOK).await;
        if wait::is_closed(client.get_ref()) {
            return Err(Gone);
        }
    }
}

/// Tells one too many so, if it takes that at once.
fn send_away(client: &Async<UnixStream>) {
    let words = format!("evmsd serves {CLIENTS_MAX} clients already; nothing was done; end some of them");
    let frame = control::encode(&Reply::Refused(Refusal::Refused, words));
    let _ = client.get_ref().write(&frame);
}

fn refusal(bad: BadFrame) -> String {
    match bad {
        BadFrame::TooLong(bytes) => format!("a request of {bytes} bytes is longer than any"),
        BadFrame::Version(version) => format!(
            "this daemon speaks version {} of its socket and was asked in {version}; use the evms of the same release",
            control::VERSION
        ),
        BadFrame::Value => "this daemon does not know the request; use the evms of the same release".into(),
    }
}

async fn watch(engine: &Engine, mut client: Async<UnixStream>) -> Result<(), Gone> {
    let changes = engine.watch();
    loop {
        let status = engine.status().await.ok_or(Gone)?;
        answer(&mut client, &Reply::Status(Box::new(status))).await?;
        let changed = async {
            let _ = changes.recv().await;
        };
        let later = async {
            Timer::after(WATCH).await;
        };
        smol::future::or(changed, later).await;
    }
}
