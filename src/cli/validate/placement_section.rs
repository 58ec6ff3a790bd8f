//! The second level: addresses given, the place of every image compared.

use super::Named;
use super::section::{Grid, Section, cell, matrix, total};
use crate::judge::{Placement, Score};

fn sum(verdicts: &[(&Named, &Placement)], of: fn(&Placement) -> Score) -> Score {
    verdicts.iter().fold(Score::default(), |mut sum, (_, verdict)| {
        sum += of(verdict);
        sum
    })
}

fn details(verdicts: &[(&Named, &Placement)]) -> Grid {
    let mut rows = vec![["recording", "images", "null model", "areas"].map(str::to_owned).to_vec()];
    for (named, it) in verdicts {
        rows.push(vec![named.title(), cell(it.images), it.null.agreeing.to_string(), cell(it.areas)]);
    }
    Grid(rows)
}

fn disagreements(verdicts: &[(&Named, &Placement)]) -> Vec<Vec<String>> {
    let paragraph = |(named, it): &(&Named, &Placement)| Some(named.difference(it.first.as_ref()?, "placement"));
    verdicts.iter().filter_map(paragraph).collect()
}

pub(super) fn section(verdicts: &[(&Named, &Placement)]) -> Section {
    let (images, null) = (sum(verdicts, |it| it.images), sum(verdicts, |it| it.null));
    Section {
        title: "Placement",
        counted: "images that stand where the model puts them",
        matrix: matrix(verdicts, |verdict| verdict.images),
        totals: vec![
            total("places of images", images, Some(null), None),
            total("places and sizes of packs and areas", sum(verdicts, |it| it.areas), None, None),
        ],
        legend: vec![
            "Operations given: the model must put every image into the chunks or pages in which the kernel's address for it \
             lies, and open every pack and area where the kernel did."
                .to_owned(),
            "The null model puts each image behind the one before.".to_owned(),
        ],
        details: details(verdicts),
        disagreements: disagreements(verdicts),
    }
}
