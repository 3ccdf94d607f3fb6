//! Instance types that a node can run on: those of the Nitro system, on which EBS volumes are NVMe disks that tell their
//! id. Families with accelerators, for supercomputing and of Apple are left out: they bring a node nothing.
//!
//! <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html>

/// What the processor of an instance type runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Graviton.
    Arm64,
    /// Intel and AMD.
    X86_64,
}

impl Architecture {
    /// The word for it in EC2, and in the names of its images.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }
}

/// Why an instance type cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeError {
    /// No such family is known, and this one is nearest.
    Family(&'static str),
    /// The family has no such size, but these.
    Size(&'static str),
}

/// What `instance_type` runs.
///
/// # Errors
/// When its family or size is not known.
pub fn architecture(instance_type: &str) -> Result<Architecture, TypeError> {
    let (family, size) = instance_type.split_once('.').unwrap_or((instance_type, ""));
    let known = FAMILIES.iter().find(|(names, _)| names.split(' ').any(|name| name == family));
    let Some((_, sizes)) = known else { return Err(TypeError::Family(nearest(family))) };
    if !sizes.split(' ').any(|known| known == size) {
        return Err(TypeError::Size(sizes));
    }
    // The letters after the generation say what is special: `g` is for Graviton.
    let special = family.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let arm = family == "a1" || special.contains('g');
    Ok(if arm { Architecture::Arm64 } else { Architecture::X86_64 })
}

fn nearest(family: &str) -> &'static str {
    let names = FAMILIES.iter().flat_map(|(names, _)| names.split(' '));
    names.min_by_key(|name| strsim::damerau_levenshtein(name, family)).unwrap_or("c8g")
}

/// Families, and the sizes that each of them has.
const FAMILIES: &[(&str, &str)] = &[
    ("a1", "medium large xlarge 2xlarge 4xlarge metal"),
    ("c5 c5d", "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge metal"),
    (
        "c5a c5ad m5a m5ad r5a r5ad",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge",
    ),
    ("c5n", "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge metal"),
    (
        "c6a m6a r6a",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge metal",
    ),
    (
        "c6g c6gd c7g c7gd c7gn m6g m6gd m7g m7gd r6g r6gd r7g r7gd x2gd",
        "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge metal",
    ),
    ("c6gn", "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    (
        "c6i c6id c6in i4i m6i m6id m6idn m6in r6i r6id r6idn r6in",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge metal",
    ),
    (
        "c7a m7a r7a",
        "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge metal-48xl",
    ),
    (
        "c7i i7i i8g m7i r7i",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge metal-24xl metal-48xl",
    ),
    (
        "c7i-flex c8i-flex m7i-flex m8i-flex r8i-flex",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge",
    ),
    (
        "c8a c8g c8gb c8gd c8gn m8a m8g m8gb m8gd m8gn m9g m9gd r8a r8g r8gb r8gd r8gn x8g",
        "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge metal-24xl metal-48xl",
    ),
    (
        "c8i c8ib c8id c8in m8i m8ib m8id m8idb m8idn m8in r8i r8ib r8id r8idb r8idn r8in",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge metal-48xl metal-96xl",
    ),
    ("c8ine m8ine", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge"),
    (
        "c9g c9gd r9g r9gd",
        "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge metal-48xl",
    ),
    ("d3", "xlarge 2xlarge 4xlarge 8xlarge"),
    ("d3en", "xlarge 2xlarge 4xlarge 6xlarge 8xlarge 12xlarge"),
    ("i3en", "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge 24xlarge metal"),
    ("i4g im4gn", "large xlarge 2xlarge 4xlarge 8xlarge 16xlarge"),
    (
        "i7ie i8ge",
        "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge 18xlarge 24xlarge 48xlarge metal-24xl metal-48xl",
    ),
    ("is4gen", "medium large xlarge 2xlarge 4xlarge 8xlarge"),
    (
        "m5 m5d m5dn m5n r5 r5b r5d r5dn r5n",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge metal",
    ),
    ("m5zn z1d", "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge metal"),
    ("m8azn", "medium large xlarge 3xlarge 6xlarge 12xlarge 24xlarge metal-12xl metal-24xl"),
    (
        "r7iz",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 32xlarge metal-16xl metal-32xl",
    ),
    ("t3 t3a t4g", "nano micro small medium large xlarge 2xlarge"),
    ("t8i", "nano micro small medium"),
    ("x2idn", "16xlarge 24xlarge 32xlarge metal"),
    ("x2iedn", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge 24xlarge 32xlarge metal"),
    ("x2iezn", "2xlarge 4xlarge 6xlarge 8xlarge 12xlarge metal"),
    ("x8aedz", "large xlarge 3xlarge 6xlarge 12xlarge 24xlarge metal-12xl metal-24xl"),
    (
        "x8i",
        "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 64xlarge 96xlarge metal-48xl metal-96xl",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architecture_follows_from_the_family() {
        for name in
            ["c8g.2xlarge", "m7gd.metal", "t4g.nano", "im4gn.large", "a1.large", "x2gd.large"]
        {
            assert_eq!(architecture(name), Ok(Architecture::Arm64), "{name}");
        }
        for name in ["m7i.large", "c7i-flex.large", "r8a.metal-48xl", "t3.micro", "i3en.metal"] {
            assert_eq!(architecture(name), Ok(Architecture::X86_64), "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        assert_eq!(architecture("c8gg.large"), Err(TypeError::Family("c8g")));
        assert!(matches!(architecture("c4.large"), Err(TypeError::Family(_))), "not of Nitro");
        assert!(matches!(architecture("mac2.metal"), Err(TypeError::Family(_))));
        let Err(TypeError::Size(sizes)) = architecture("c8g.3xlarge") else { panic!("refused") };
        assert!(sizes.split(' ').any(|size| size == "2xlarge"));
        assert!(matches!(architecture("c8g"), Err(TypeError::Size(_))));
    }

    #[test]
    fn no_family_stands_in_two_rows() {
        let mut names: Vec<&str> =
            FAMILIES.iter().flat_map(|(names, _)| names.split(' ')).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
