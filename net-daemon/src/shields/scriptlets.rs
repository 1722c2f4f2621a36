//! Scriptlets of uBlock Origin, from Debian's package: JavaScript modules that register functions with their names in
//! filter lists and their dependencies. Nothing is executed here.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use adblock::resources::{MimeType, PermissionMask, Resource, ResourceType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oxc_allocator::Allocator;
use oxc_ast::ast::{Argument, ArrayExpressionElement, Declaration, Expression, ObjectExpression, Statement};
use oxc_ast::ast::{ObjectPropertyKind, PropertyKey};
use oxc_parser::Parser;
use oxc_span::SourceType;

/// Permission of lists to use scriptlets that require trust.
pub(super) const TRUSTED: PermissionMask = PermissionMask::from_bits(1);
/// Suffix of the names of functions that only other scriptlets use.
const PART: &str = ".fn";

/// A function that a module registers, with its names in the module and in filter lists.
#[derive(Debug, Default)]
struct Registered {
    function: String,
    name: String,
    aliases: Vec<String>,
    needs: Vec<Need>,
    is_for_trusted: bool,
}

#[derive(Debug)]
enum Need {
    /// Name in filter lists.
    Name(String),
    /// Name in the modules.
    Function(String),
}

/// Reads all scriptlets below this folder.
pub(super) fn read(ublock: &Path) -> Result<Vec<Resource>, String> {
    let scripts = ublock.join("js");
    let mut files: Vec<PathBuf> = vec![scripts.join("arglist-parser.js"), scripts.join("jsonpath.js")];
    let folder = scripts.join("resources");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    files.sort();
    let (mut sources, mut registered) = (HashMap::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        read_module(&text, &mut sources, &mut registered).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(resources(&sources, &registered))
}

fn resources(sources: &HashMap<String, String>, registered: &[Registered]) -> Vec<Resource> {
    let names: HashMap<&str, &str> = registered.iter().map(|one| (one.function.as_str(), one.name.as_str())).collect();
    let resource = |one: &Registered| {
        let is_part = one.name.ends_with(PART);
        let kind = if is_part { MimeType::FnJavascript } else { MimeType::ApplicationJavascript };
        let needs = one.needs.iter().filter_map(|need| match need {
            Need::Name(name) => Some(name.clone()),
            Need::Function(function) => names.get(function.as_str()).map(|name| (*name).to_owned()),
        });
        Some(Resource {
            name: one.name.clone(),
            aliases: one.aliases.clone(),
            kind: ResourceType::Mime(kind),
            content: BASE64_STANDARD.encode(sources.get(&one.function)?),
            dependencies: needs.collect(),
            permission: if one.is_for_trusted { TRUSTED } else { PermissionMask::default() },
        })
    };
    registered.iter().filter_map(resource).collect()
}

fn read_module(
    text: &str,
    sources: &mut HashMap<String, String>,
    registered: &mut Vec<Registered>,
) -> Result<(), String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::mjs()).parse();
    if parsed.panicked {
        return Err("it is not valid JavaScript".to_owned());
    }
    let mut keep = |name: Option<String>, span: oxc_span::Span| {
        if let (Some(name), Some(source)) = (name, text.get(span.start as usize..span.end as usize)) {
            sources.insert(name, source.to_owned());
        }
    };
    for statement in &parsed.program.body {
        if let Statement::FunctionDeclaration(function) = statement {
            keep(function.id.as_ref().map(|id| id.name.to_string()), function.span);
        } else if let Statement::ClassDeclaration(class) = statement {
            keep(class.id.as_ref().map(|id| id.name.to_string()), class.span);
        } else if let Statement::ExportDeclaration(export) = statement {
            if let Declaration::FunctionDeclaration(function) = &export.declaration {
                keep(function.id.as_ref().map(|id| id.name.to_string()), function.span);
            } else if let Declaration::ClassDeclaration(class) = &export.declaration {
                keep(class.id.as_ref().map(|id| id.name.to_string()), class.span);
            }
        } else if let Statement::ExpressionStatement(expression) = statement
            && let Expression::CallExpression(call) = &expression.expression
        {
            // registerScriptlet(aFunction, { name: … }), or someList.push({ name: …, fn: aFunction })
            match call.arguments.as_slice() {
                [Argument::Identifier(function), Argument::ObjectExpression(details)] => {
                    registered.push(Registered { function: function.name.to_string(), ..details_of(details) });
                }
                [Argument::ObjectExpression(details)] => registered.push(details_of(details)),
                _ => {}
            }
        }
    }
    Ok(())
}

fn details_of(details: &ObjectExpression<'_>) -> Registered {
    let mut told = Registered::default();
    for property in &details.properties {
        let ObjectPropertyKind::ObjectProperty(property) = property else { continue };
        let PropertyKey::StaticIdentifier(key) = &property.key else { continue };
        match (key.name.as_str(), &property.value) {
            ("name", Expression::StringLiteral(name)) => told.name = name.value.to_string(),
            ("fn", Expression::Identifier(function)) => told.function = function.name.to_string(),
            ("requiresTrust", Expression::BooleanLiteral(is)) => told.is_for_trusted = is.value,
            ("aliases", Expression::ArrayExpression(aliases)) => {
                told.aliases = aliases.elements.iter().filter_map(text_of).collect();
            }
            ("dependencies", Expression::ArrayExpression(needs)) => {
                told.needs = needs.elements.iter().filter_map(need_of).collect();
            }
            _ => {}
        }
    }
    told
}

fn text_of(element: &ArrayExpressionElement<'_>) -> Option<String> {
    if let ArrayExpressionElement::StringLiteral(text) = element { Some(text.value.to_string()) } else { None }
}

fn need_of(element: &ArrayExpressionElement<'_>) -> Option<Need> {
    if let ArrayExpressionElement::Identifier(function) = element {
        return Some(Need::Function(function.name.to_string()));
    }
    text_of(element).map(Need::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_becomes_what_filter_lists_name() {
        let text = "import { a } from './a.js';
            export function setIt(name = '') { return helper(name); }
            registerScriptlet(setIt, { name: 'set-it.js', aliases: ['si.js'], dependencies: [helper, 'b.fn'] });
            function helper(x) { return x; }
            list.push({ name: 'helper.fn', fn: helper, requiresTrust: true });
            class Other {}";
        let (mut sources, mut registered) = (HashMap::new(), Vec::new());
        read_module(text, &mut sources, &mut registered).unwrap();
        let made = resources(&sources, &registered);
        assert_eq!(made.len(), 2);
        assert_eq!((made[0].name.as_str(), &made[0].aliases[..]), ("set-it.js", &["si.js".to_owned()][..]));
        assert_eq!(made[0].dependencies, ["helper.fn", "b.fn"]);
        let source = String::from_utf8(BASE64_STANDARD.decode(&made[0].content).unwrap()).unwrap();
        assert!(source.starts_with("function setIt(") && source.ends_with('}'), "{source}");
        assert_eq!(made[0].permission.to_bits(), 0);
        assert_eq!(made[1].permission.to_bits(), TRUSTED.to_bits());
        assert!(sources.contains_key("Other"));
        assert!(read_module("function (", &mut sources, &mut registered).is_err());
    }
}
