//! The module graph of a crate, computed from its sources, for the architecture test.
//!
//! A node is a file. An edge leads from a file to the file of a module that it names, in a `use` or in a path; a re-export leads
//! to the file that defines the item. A module and those inside it count as one thing: edges between them are left out.
//! Test code is left out, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;

/// Path of a module inside its crate; empty for the crate's root.
type Module = Vec<String>;

/// Names and uses of one file.
#[derive(Default)]
struct File {
    /// Paths that `use` binds to a name, as written.
    bindings: BTreeMap<String, Module>,
    paths: Vec<Module>,
}

impl File {
    fn bind(&mut self, tree: &syn::UseTree, prefix: &Module) {
        let joined = |ident: &syn::Ident| [prefix.as_slice(), &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.bind(&path.tree, &joined(&path.ident)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.bind(tree, prefix)),
            syn::UseTree::Glob(_) => self.paths.push(prefix.clone()),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().cloned().unwrap_or_default();
                self.add(last, prefix.clone());
            }
            syn::UseTree::Name(name) => self.add(name.ident.to_string(), joined(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(rename.rename.to_string(), joined(&rename.ident)),
        }
    }

    fn add(&mut self, name: String, path: Module) {
        self.paths.push(path.clone());
        self.bindings.insert(name, path);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_cfg_test = |attribute: &syn::Attribute| {
        let list = attribute.path().is_ident("cfg").then(|| attribute.meta.require_list().ok()).flatten();
        list.is_some_and(|list| list.tokens.to_string() == "test")
    };
    attributes.iter().any(is_cfg_test)
}

impl<'a> Visit<'a> for File {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.bind(&item.tree, &Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

/// The files of a crate.
struct Crate {
    files: BTreeMap<Module, File>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut this = Self { files: BTreeMap::new() };
        this.read_folder(folder, &Vec::new());
        this
    }

    fn read_folder(&mut self, folder: &Path, module: &Module) {
        for entry in std::fs::read_dir(folder).expect("a folder of sources").flatten() {
            let path = entry.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if name == "tests" || name.ends_with("_tests") {
                continue;
            }
            let inner = [module.as_slice(), std::slice::from_ref(&name)].concat();
            if path.is_dir() {
                self.read_folder(&path, &inner);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_folders = name == "mod" || module.is_empty() && (name == "lib" || name == "main");
                let text = std::fs::read_to_string(&path).expect("a source");
                let parsed = syn::parse_file(&text).expect("a source that compiles");
                let file = self.files.entry(if is_folders { module.clone() } else { inner }).or_default();
                file.visit_file(&parsed);
            }
        }
    }

    /// Returns a path as seen from the crate's root; `None` for a path into another crate.
    fn absolute(&self, path: &[String], module: &Module) -> Option<Module> {
        let first = path.first()?;
        let supers = path.iter().take_while(|part| *part == "super").count();
        let inner = [module.as_slice(), std::slice::from_ref(first)].concat();
        match first.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([module.as_slice(), &path[1..]].concat()),
            "super" => Some([module.get(..module.len().checked_sub(supers)?)?, &path[supers..]].concat()),
            _ if self.files.contains_key(&inner) => Some([module.as_slice(), path].concat()),
            name => {
                let bound = self.files[module].bindings.get(name).filter(|bound| bound.first() != Some(first))?;
                self.absolute(&[bound.as_slice(), &path[1..]].concat(), module)
            }
        }
    }

    /// Returns the file that an absolute path leads to, through re-exports.
    fn resolve(&self, path: &Module, depth: usize) -> Module {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length])).unwrap_or(0);
        let module = path[..length].to_vec();
        let reexported = path.get(length).and_then(|name| self.files.get(&module)?.bindings.get(name));
        match reexported.and_then(|bound| self.absolute(bound, &module)) {
            Some(target) if depth < 10 => self.resolve(&[target.as_slice(), &path[length + 1..]].concat(), depth + 1),
            _ => module,
        }
    }

    fn edges(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let edges_of = |module: &Module, file: &File| {
            let targets = file.paths.iter().filter_map(|path| self.absolute(path, module));
            let targets = targets.map(|path| self.resolve(&path, 0));
            targets.filter(|target| !module.starts_with(target) && !target.starts_with(module)).collect()
        };
        self.files.iter().map(|(module, file)| (module, edges_of(module, file))).collect()
    }
}

/// Returns the cycles in the module graph of a crate: each as the modules that can reach each other.
///
/// # Panics
/// When the sources cannot be read.
#[must_use]
pub fn cycles(sources: &Path) -> BTreeSet<BTreeSet<String>> {
    let sources = Crate::read(sources);
    let edges = sources.edges();
    let reachable = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in edges.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = edges.keys().map(|module| (*module, reachable(module))).collect();
    let mut cycles = BTreeSet::new();
    for (module, reached) in &reach {
        if reached.contains(*module) {
            let in_cycle = reached.iter().filter(|other| reach[other].contains(*module));
            cycles.insert(in_cycle.map(|module| module.join("::")).collect());
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        cycles(folder.path()).into_iter().map(|cycle| cycle.into_iter().collect()).collect()
    }

    #[test]
    fn cycles_are_found_through_uses_paths_and_reexports() {
        let none: [Vec<String>; 0] = [];
        let lib = ("lib.rs", "mod a; mod b;");
        assert_eq!(cycles_of(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "struct B;")]), none);
        assert_eq!(cycles_of(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "use super::a;")]), [["a", "b"]]);
        assert_eq!(cycles_of(&[lib, ("a.rs", "use crate::b;"), ("b.rs", "fn f() { crate::a::g() }")]), [["a", "b"]]);
        // Through a re-export of the parent.
        let lib = ("lib.rs", "mod a; mod b; pub use a::A;");
        assert_eq!(cycles_of(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::A;")]), [["a", "b"]]);
        // A module and its children are one thing; tests do not count.
        let inside = ("a/mod.rs", "mod c; use c::C;");
        assert_eq!(cycles_of(&[lib, inside, ("a/c.rs", "use super::A;"), ("b.rs", "")]), none);
        let test = ("b.rs", "struct B; #[cfg(test)] mod tests { use crate::a::A; }");
        assert_eq!(cycles_of(&[lib, ("a.rs", "use crate::b::B;"), test]), none);
    }
}
