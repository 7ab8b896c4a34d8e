//! The CAR container: what Go wrote, what is not one, and how much of it there may be.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256, Sha512};
use storehouse_formats::Cid;
use storehouse_formats::car::{
    CarError, CarLimits, CarProblem, CarReader, DAG_CBOR, StreamedBlock, car_cid, dag_cbor_cid,
    write_block, write_header,
};
use storehouse_formats::ucan::Receipt;

fn read(car: &[u8], limits: CarLimits) -> Result<(Vec<Cid>, Vec<StreamedBlock>), CarError> {
    let mut reader = CarReader::new(car, limits)?;
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block()? {
        blocks.push(block);
    }
    Ok((reader.roots().to_vec(), blocks))
}

fn write(roots: &[Cid], blocks: &[StreamedBlock]) -> Vec<u8> {
    let mut car = Vec::new();
    write_header(&mut car, roots);
    for block in blocks {
        assert_eq!(car.len() as u64, block.offset);
        write_block(&mut car, &block.cid, &block.data);
        assert_eq!(car.len() as u64, block.offset + block.section);
    }
    car
}

fn vectors() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut cars = Vec::new();
    for folder in ["receipt-archive", "journal", "journal-forced"] {
        cars.extend(
            fs::read_dir(dir.join(folder))
                .unwrap()
                .map(|entry| fs::read(entry.unwrap().path()).unwrap()),
        );
    }
    assert_eq!(cars.len(), 24 + 3 + 2);
    cars
}

#[test]
fn what_go_wrote_is_what_is_written() {
    for car in vectors() {
        let (roots, blocks) = read(&car, CarLimits::default()).unwrap();
        assert_eq!(write(&roots, &blocks), car);
    }
}

/// Cut anywhere, a container ends early, except between two blocks: there it is a shorter one.
#[test]
fn cut_anywhere() {
    for car in vectors().into_iter().step_by(5) {
        let (_, blocks) = read(&car, CarLimits::default()).unwrap();
        for cut in 0..car.len() {
            let between = blocks.iter().position(|block| block.offset == cut as u64);
            match (read(&car[..cut], CarLimits::default()), between) {
                (Ok((_, shorter)), Some(count)) => assert_eq!(shorter, blocks[..count]),
                (Err(error), None) => assert!(
                    matches!(error.problem, CarProblem::Truncated),
                    "{cut}: {error:?}"
                ),
                (read, _) => panic!("cut at {cut}: {read:?}"),
            }
        }
    }
}

#[test]
fn hashes() {
    let data = b"hello".to_vec();
    let cid = |code, digest: &[u8]| Cid::v1(0x55, code, digest);
    let section = |cid: &Cid, data: &[u8]| {
        let mut car = Vec::new();
        write_header(&mut car, &[]);
        write_block(&mut car, cid, data);
        car
    };
    for good in [
        cid(0x12, &Sha256::digest(&data)),
        cid(0x13, &Sha512::digest(&data)),
        cid(0x00, &data),
        Cid::from_bytes(&[&[0x12, 0x20], &Sha256::digest(&data)[..]].concat()).unwrap(),
    ] {
        let (_, blocks) = read(&section(&good, &data), CarLimits::default()).unwrap();
        assert_eq!((&blocks[0].cid, &blocks[0].data), (&good, &data));
        let error = read(&section(&good, b"hellO"), CarLimits::default()).unwrap_err();
        assert!(
            matches!(&error.problem, CarProblem::Hash { cid } if **cid == good),
            "{error:?}"
        );
    }
    // A digest that is the beginning of the right one is not the right one.
    let error = read(
        &section(&cid(0x12, &Sha256::digest(&data)[..20]), &data),
        CarLimits::default(),
    )
    .unwrap_err();
    assert!(
        matches!(error.problem, CarProblem::Hash { .. }),
        "{error:?}"
    );
    // Of a hash function that is not known: sha3-256.
    let (_, blocks) = read(&section(&cid(0x16, &[1; 32]), &data), CarLimits::default()).unwrap();
    assert!(!blocks[0].verified);
}

/// After a wrong hash the next block can be read.
#[test]
fn reading_goes_on_after_a_wrong_hash() {
    let mut car = Vec::new();
    write_header(&mut car, &[]);
    write_block(&mut car, &car_cid([1; 32]), b"wrong");
    write_block(
        &mut car,
        &car_cid(Sha256::digest(b"right").into()),
        b"right",
    );
    let mut reader = CarReader::new(&car[..], CarLimits::default()).unwrap();
    assert!(matches!(
        reader.next_block().unwrap_err().problem,
        CarProblem::Hash { .. }
    ));
    assert_eq!(reader.next_block().unwrap().unwrap().data, b"right");
    assert_eq!(reader.next_block().unwrap(), None);
}

#[test]
fn headers_are_canonical() {
    let root = dag_cbor_cid(Sha256::digest(b"").into());
    for count in [0, 1, 2, 23, 24, 300] {
        let mut header = Vec::new();
        write_header(&mut header, &vec![root.clone(); count]);
        assert_eq!(read(&header, CarLimits::default()).unwrap().0.len(), count);
        if count == 1 {
            assert_eq!(header.len(), 59);
        }
    }
    let header = |cbor: &[u8]| [&[cbor.len() as u8][..], cbor].concat();
    for (what, bad) in [
        ("version 2", header(b"\xa2eroots\x80gversion\x02")),
        ("no roots", header(b"\xa1gversion\x01")),
        ("one field more", header(b"\xa3axaxeroots\x80gversion\x01")),
        (
            "keys the other way round",
            header(b"\xa2gversion\x01eroots\x80"),
        ),
        ("a key twice", header(b"\xa2eroots\x80eroots\x80")),
        ("a long number", header(b"\xa2eroots\x80gversion\x18\x01")),
        (
            "a list of no end",
            header(b"\xa2eroots\x9f\xffgversion\x01"),
        ),
        (
            "a root that is no link",
            header(b"\xa2eroots\x81\x01gversion\x01"),
        ),
        (
            "something after it",
            header(b"\xa2eroots\x80gversion\x01\x00"),
        ),
        ("not CBOR", header(b"hello")),
        ("nested without end", header(&[0x81; 100])),
    ] {
        let error = read(&bad, CarLimits::default()).unwrap_err();
        assert!(
            matches!(error.problem, CarProblem::Header),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn lengths() {
    let mut header = Vec::new();
    write_header(&mut header, &[]);
    for (length, minimal) in [
        (&[0x80, 0x00][..], false),
        (&[0x85, 0x80, 0x00], false),
        (&[0xff; 9], false),
        (&[0xff; 10], false),
        (&[0], true),
    ] {
        for car in [length.to_vec(), [&header[..], length].concat()] {
            let error = read(&car, CarLimits::default()).unwrap_err();
            let expected = if minimal {
                matches!(error.problem, CarProblem::Size { size: 0, .. })
            } else {
                matches!(error.problem, CarProblem::Varint)
            };
            assert!(expected, "{length:x?}: {error:?}");
        }
    }
}

/// Limits are inclusive, and hold before anything of that size is read or kept.
#[test]
fn limits() {
    let data = vec![1; 1000];
    let mut car = Vec::new();
    write_header(&mut car, &[]);
    for _ in 0..3 {
        write_block(&mut car, &dag_cbor_cid(Sha256::digest(&data).into()), &data);
    }
    let just = CarLimits::default().header(17).section(1036).blocks(3);
    assert_eq!(read(&car, just).unwrap().1.len(), 3);
    let error = read(&car, just.header(16)).unwrap_err();
    assert!(
        matches!(
            error.problem,
            CarProblem::Size {
                size: 17,
                limit: 16
            }
        ),
        "{error:?}"
    );
    let error = read(&car, just.section(1035)).unwrap_err();
    assert!(
        matches!(
            error.problem,
            CarProblem::Size {
                size: 1036,
                limit: 1035
            }
        ),
        "{error:?}"
    );
    let error = read(&car, just.blocks(2)).unwrap_err();
    assert!(
        matches!(error.problem, CarProblem::Blocks { limit: 2 }),
        "{error:?}"
    );
    assert_eq!(error.offset, 18 + 2 * 1038);

    // A length of 32 MiB with nothing behind it takes no 32 MiB.
    let mut claims = car[..18].to_vec();
    claims.extend([0x80, 0x80, 0x80, 0x10]);
    assert!(matches!(
        read(&claims, CarLimits::default()).unwrap_err().problem,
        CarProblem::Truncated
    ));
}

/// Bytes of any kind are an error or blocks, never a panic.
#[test]
fn anything_at_all() {
    let mut random = 1_u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize
    };
    let whole = &vectors()[3];
    let mut good = 0;
    for _ in 0..20_000 {
        let mut car = whole.clone();
        for _ in 0..=next() % 4 {
            let at = next() % car.len();
            match next() % 3 {
                0 => car[at] = next() as u8,
                1 => drop(car.drain(at..(at + next() % 9).min(car.len()))),
                _ => drop(car.splice(at..at, (0..next() % 9).map(|byte| byte as u8 | 0x80))),
            }
            if car.is_empty() {
                break;
            }
        }
        match read(&car, CarLimits::default()) {
            Ok((roots, blocks)) => {
                assert_eq!(write(&roots, &blocks), car);
                good += 1;
            }
            Err(error) => assert!(error.offset <= car.len() as u64),
        }
        drop(Receipt::decode(car.into()));
    }
    assert!(good < 2000, "{good}");
    assert_eq!(DAG_CBOR, 0x71);
}
