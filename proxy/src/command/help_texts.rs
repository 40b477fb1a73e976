//! Every help text, short and long, against its golden file.

use super::arguments::CommandLine;
use crate::golden;
use clap::{Command, CommandFactory};

/// Columns the golden files are written for.
const COLUMNS: usize = 100;

/// The texts of a command and all below it, each under the words that ask for it.
fn texts(command: &mut Command, words: &str) -> String {
    let mut text = format!("$ {words} -h\n{}\n", command.render_help());
    text += &format!("$ {words} --help\n{}\n", command.render_long_help());
    let below = command.get_subcommands_mut().filter(|inner| !inner.is_hide_set());
    below.fold(text, |text, inner| {
        let words = format!("{words} {}", inner.get_name());
        text + &texts(inner, &words)
    })
}

#[test]
fn every_help_text_reads_as_its_golden_file() {
    let mut command = CommandLine::command().term_width(COLUMNS);
    command.build();
    golden::check("help.txt", &texts(&mut command, "only1mcp"));
}

#[test]
fn the_internal_command_is_not_in_the_list() {
    assert!(!CommandLine::command().render_long_help().to_string().contains("serve "));
}
