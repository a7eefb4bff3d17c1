//! Verbs on volumes: words into requests.

use evms::base::name::VolumePath;
use evms::base::size::{Resize, Size};
use evms::run::volume::VolumeAsk;

use crate::evms::answer::Answer;
use crate::evms::containers::{context, new_name};
use crate::evms::globals::Globals;
use crate::evms::verbs::Refused;
use crate::evms::words::{BadWords, Words, number};

const PATH: &str = "CONTAINER/VOLUME";
const SIZE: &str = "--size";

fn path(words: &Words) -> Result<VolumePath, BadWords> {
    VolumePath::parse(words.name(0, PATH)?).map_err(|why| words.bad(PATH, &why))
}

/// `volume create`.
pub fn create(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let ask = VolumeAsk {
        path: path(words)?,
        size: words.wanted(SIZE, Size::parse)?,
        stripes: words.parsed("--stripes", number)?,
        stripe_bytes: words.parsed("--stripe-size", Size::parse_plain)?,
        on: words.list("--on"),
    };
    if ask.stripe_bytes.is_some() && ask.stripes.is_none() {
        return Err(words.missing("--stripes, without which --stripe-size means nothing,").into());
    }
    Ok(Answer::Changed(context(words, globals)?.volume_create(&ask)?))
}

/// `volume expand`.
pub fn expand(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let (path, size, on) = (path(words)?, words.wanted(SIZE, Resize::parse)?, words.list("--on"));
    Ok(Answer::Changed(context(words, globals)?.volume_grow(&path, size, &on, words.has("--fs"))?))
}

/// `volume shrink`.
pub fn shrink(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let (path, size) = (path(words)?, words.wanted(SIZE, Resize::parse)?);
    let lose = words.parsed("--lose-data-beyond", Size::parse_plain)?;
    Ok(Answer::Changed(context(words, globals)?.volume_shrink(&path, size, lose)?))
}

/// `volume rename`.
pub fn rename(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let path = path(words)?;
    let text = words.name(1, "NEW")?;
    // CONTAINER/NEW is understood when the container is the same.
    let text = text.strip_prefix(&format!("{}/", path.container)).unwrap_or(text);
    let new = new_name(words, text, "NEW")?;
    Ok(Answer::Changed(context(words, globals)?.volume_rename(&path, &new)?))
}

/// `volume delete`.
pub fn delete(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let path = path(words)?;
    Ok(Answer::Changed(context(words, globals)?.volume_delete(&path)?))
}
