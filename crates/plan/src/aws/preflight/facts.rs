//! What is asked of AWS before anything is made.

/// What AWS says about what the file names. What was not found is not in it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The subnet.
    pub subnet: Option<Subnet>,
    /// Who has the address in the VPC.
    pub holders: Vec<Holder>,
    /// The security groups, and the VPC of each.
    pub groups: Vec<(String, String)>,
    /// The instance type, if the region has it.
    pub machine: Option<Machine>,
    /// The image, if it is there.
    pub image: Option<Image>,
    /// Virtual processors that may run at one time, and that run now besides this node's; `None` where that cannot be told.
    pub processors: Option<(u32, u32)>,
    /// Volumes that carry the node's name and hold, or held, its data.
    pub volumes: Vec<Volume>,
    /// The network interface and the volume that the stack has, if it is there.
    pub own: Own,
}

/// What of the stack is there.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Whether there is a stack with something in it.
    pub exists: bool,
    /// Its network interface.
    pub interface: Option<String>,
    /// The volume that it made.
    pub volume: Option<String>,
    /// Its machine.
    pub machine: Option<String>,
    /// The instance type of that.
    pub instance_type: Option<String>,
}

/// A subnet.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// Its VPC.
    pub vpc: String,
    /// Its zone.
    pub zone: String,
    /// Its addresses, like `10.0.2.0/24`.
    pub network: String,
}

/// Who has an address.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The network interface.
    pub interface: String,
    /// The machine it is at.
    pub machine: Option<String>,
    /// What it says of itself.
    pub description: String,
}

/// An instance type.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What its processor runs.
    pub architectures: Vec<String>,
    /// Its virtual processors.
    pub processors: u32,
    /// Zones in which it can be had.
    pub zones: Vec<String>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// What it runs on.
    pub architecture: String,
    /// Whether machines can be made from it.
    pub is_available: bool,
}

/// A volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is to its node: see [`ROLE`](crate::aws::names::ROLE).
    pub role: String,
}
