//! Runs a part of the harness by hand.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use storehouse_harness::child::live;
use storehouse_harness::flips::{Flips, Place};
use storehouse_harness::full::Full;
use storehouse_harness::inject::{Inject, InjectSummary};
use storehouse_harness::kill::Kills;
use storehouse_harness::lives::Lives;
use storehouse_harness::power::Power;
use storehouse_harness::session::{Cut, Harness};
use storehouse_harness::shim::{Class, Fault};
use storehouse_harness::spec::{Arm, Spec};
use storehouse_harness::stores::{Kind, Size};

const USAGE: &str = "\
harness kill --store STORE [--size tiny|production] [--seed N] [--rounds N]
harness inject --store STORE [--size SIZE] [--arm open|load|close] [--seed N] [--ops N] [--cut [--warm]], with one of
    --call N --fault EIO|ENOSPC|EMFILE|ENFILE|EINTR|ENOMEM|short|kill
    --rate CALLS_OF_A_MILLION
    --spare DESCRIPTORS
    --every-call [--fault FAULT] [--class open|read|write|sync|rename|…] [--most LIVES]
    --at-random [--rounds N]
    --few-descriptors [--rounds N]
harness full --store STORE [--size SIZE] [--seed N] [--call N | --most LIVES | --mount DIRECTORY [--rounds N]]
harness flips --store STORE [--size SIZE] [--seed N] [--rounds N | --file FILE --at BYTE --bit BIT]
harness power --store STORE [--size SIZE] [--seed N] [--rounds N] --mount DIRECTORY --script FILE
harness lives --store STORE [--size SIZE] [--seed N] [--rounds SESSIONS] [--ops PUTS] [--pause MS]
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("harness: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("child") => {
            live(&Spec::from_args(args)?)?;
            Ok(true)
        }
        Some("kill") => {
            let options = Options::parse()?;
            let kills = Kills {
                store: options.store,
                size: options.size,
                seed: options.seed,
                rounds: options.rounds.unwrap_or(100),
            };
            let dir = tempfile::tempdir()?;
            let summary = kills.run(&options.harness()?, dir.path())?;
            println!("{kills:?}: {summary:#?}");
            Ok(summary.wrong.is_none())
        }
        Some("inject") => {
            let options = Options::parse()?;
            let summary = inject(&options)?;
            println!(
                "{} {} {}: {summary:#?}",
                options.store, options.size, options.arm
            );
            Ok(summary.wrong.is_empty())
        }
        Some("full") => {
            let (options, dir) = (Options::parse()?, tempfile::tempdir()?);
            let full = Full {
                store: options.store,
                size: options.size,
                seed: options.seed,
            };
            let (harness, dir) = (options.harness()?, &dir.path().canonicalize()?);
            let summary = match (&options.mount, options.call) {
                (Some(mount), _) => {
                    full.on_disk(&harness, dir, mount, options.rounds.unwrap_or(20))?
                }
                (None, Some(call)) => full.one_step(&harness, dir, call)?,
                (None, None) => full.every_step(&harness, dir, options.most.unwrap_or(u64::MAX))?,
            };
            println!("{full:?}: {summary:#?}");
            Ok(summary.wrong.is_empty())
        }
        Some("flips") => {
            let (options, dir) = (Options::parse()?, tempfile::tempdir()?);
            let flips = Flips {
                store: options.store,
                size: options.size,
                seed: options.seed,
            };
            let harness = options.harness()?;
            let summary = match (&options.file, options.at, options.bit) {
                (Some(file), Some(at), Some(bit)) => flips.one(
                    &harness,
                    dir.path(),
                    &Place {
                        file: file.clone(),
                        at,
                        bit,
                    },
                )?,

                _ => flips.run(&harness, dir.path(), options.rounds.unwrap_or(100))?,
            };
            println!("{flips:?}: {summary:#?}");
            Ok(summary.wrong.is_empty())
        }
        Some("power") => {
            let options = Options::parse()?;
            let Options {
                store, size, seed, ..
            } = options;
            let power = Power {
                store,
                size,
                seed,
                rounds: options.rounds.unwrap_or(10),
            };
            let (Some(mount), Some(script)) = (options.mount.clone(), options.script.clone())
            else {
                return Err("power needs --mount and --script".into());
            };
            let summary = power.run(&options.harness()?, &Cut { script, mount })?;
            println!("{power:?}: {summary:?}");
            Ok(summary.wrong.is_none())
        }
        Some("lives") => {
            let (options, dir) = (Options::parse()?, tempfile::tempdir()?);
            let lives = Lives {
                store: options.store,
                size: options.size,
                seed: options.seed,
                sessions: options.rounds.unwrap_or(1_000),
                trickle: options.ops.unwrap_or(100),
                pause: options.pause,
                patience: Duration::from_secs(60),
            };
            let life = lives.run(&options.harness()?, dir.path())?;
            println!("{lives:?}: {life:#?}");
            Ok(life.wrong.is_empty())
        }
        _ => {
            print!("{USAGE}");
            Ok(false)
        }
    }
}

fn inject(options: &Options) -> Result<InjectSummary, Box<dyn Error>> {
    let Options {
        store,
        size,
        arm,
        seed,
        ..
    } = *options;
    let inject = Inject {
        store,
        size,
        arm,
        seed,
        ops: options.ops.unwrap_or(Inject::ops(size)),
        cut: options.cut,
        warm: options.warm,
    };
    let (harness, dir) = (options.harness()?, tempfile::tempdir()?);
    let dir = &dir.path().canonicalize()?;
    let rounds = options.rounds.unwrap_or(100);
    Ok(match (options.series, options.call, options.fault) {
        (Some(Series::EveryCall), _, fault) => inject.every_call(
            &harness,
            dir,
            options.most.unwrap_or(u64::MAX),
            fault,
            options.class,
        )?,
        (Some(Series::AtRandom), _, _) => inject.at_random(&harness, dir, rounds)?,
        (Some(Series::FewDescriptors), _, _) => {
            inject.few_descriptors(&harness, dir, rounds, 12)?
        }
        (None, Some(call), Some(fault)) => inject.one_call(&harness, dir, call, fault)?,
        (None, Some(_), None) => return Err("--call needs --fault".into()),
        (None, None, _) => inject.with(&harness, dir, options.rate, options.spare)?,
    })
}

#[derive(Clone, Copy)]
enum Series {
    EveryCall,
    AtRandom,
    FewDescriptors,
}

struct Options {
    store: Kind,
    size: Size,
    seed: u64,
    arm: Arm,
    rounds: Option<u64>,
    ops: Option<u64>,
    call: Option<u64>,
    fault: Option<Fault>,
    class: Option<Class>,
    rate: Option<u64>,
    spare: Option<u64>,
    most: Option<u64>,
    series: Option<Series>,
    file: Option<PathBuf>,
    at: Option<u64>,
    bit: Option<u8>,
    pause: u64,
    cut: bool,
    warm: bool,
    mount: Option<PathBuf>,
    script: Option<PathBuf>,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        use lexopt::prelude::*;
        let mut options = Self {
            store: Kind::Flatfs,
            size: Size::Tiny,
            seed: 1,
            arm: Arm::Load,
            rounds: None,
            ops: None,
            call: None,
            fault: None,
            class: None,
            rate: None,
            spare: None,
            most: None,
            series: None,
            file: None,
            at: None,
            bit: None,
            pause: 100,
            cut: false,
            warm: false,
            mount: None,
            script: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("store") => options.store = parser.value()?.parse()?,
                Long("size") => options.size = parser.value()?.parse()?,
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
                Long("arm") => options.arm = parser.value()?.parse()?,
                Long("ops") => options.ops = Some(parser.value()?.parse()?),
                Long("call") => options.call = Some(parser.value()?.parse()?),
                Long("class") => options.class = Some(parser.value()?.parse()?),
                Long("fault") => options.fault = Some(parser.value()?.parse()?),
                Long("rate") => options.rate = Some(parser.value()?.parse()?),
                Long("spare") => options.spare = Some(parser.value()?.parse()?),
                Long("most") => options.most = Some(parser.value()?.parse()?),
                Long("file") => options.file = Some(parser.value()?.into()),
                Long("at") => options.at = Some(parser.value()?.parse()?),
                Long("bit") => options.bit = Some(parser.value()?.parse()?),
                Long("pause") => options.pause = parser.value()?.parse()?,
                Long("mount") => options.mount = Some(parser.value()?.into()),
                Long("script") => options.script = Some(parser.value()?.into()),
                Long("warm") => options.warm = true,
                Long("cut") => options.cut = true,
                Long("every-call") => options.series = Some(Series::EveryCall),
                Long("at-random") => options.series = Some(Series::AtRandom),
                Long("few-descriptors") => options.series = Some(Series::FewDescriptors),
                Value(_) => {}
                _ => return Err(arg.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn harness(&self) -> std::io::Result<Harness> {
        Ok(Harness::new(std::env::current_exe()?))
    }
}
