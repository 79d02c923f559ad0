"""What a shell runs to complete a command line of netioctl, and what it is told then.

click knows what may follow; its own scripts are not used, because they show no names beside PIDs
(bash), do nothing at the second TAB where they are installed (zsh), and have the shell interpret
what a process called itself (fish).
"""

from __future__ import annotations

import os

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

#: How a script asks: "bash_complete" in this variable.
VARIABLE = "_NETIOCTL_COMPLETE"

_BASH = """\
# bash completion of netioctl; needs bash 4.4
%(complete_func)s() {
    local IFS=$'\\n' line kind value text
    local -a lines=() texts=()
    COMPREPLY=()
    mapfile -t lines < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    for line in "${lines[@]}"; do
        IFS=$'\\t' read -r kind value text <<<"$line"
        case $kind in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain)
                COMPREPLY+=("$value")
                texts+=("$text")
                ;;
        esac
    done
    # Names beside PIDs, but only in a list: what is put into the line is the PID alone.
    if ((${#COMPREPLY[@]} > 1 && COMP_TYPE != 37)); then
        local at
        for at in "${!COMPREPLY[@]}"; do
            [[ -z ${texts[at]} ]] || COMPREPLY[at]+="  (${texts[at]})"
        done
    fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

# The function has the name of the file that it is installed as, and so takes its place when that
# has been loaded: the second TAB would else register it once more, and offer nothing.
_ZSH = """\
#compdef %(prog_name)s

_%(prog_name)s() {
    local -a lines plain described
    local kind value text
    (( $+commands[%(prog_name)s] )) || return 1
    lines=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for kind value text in "${lines[@]}"; do
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $text == _ ]]; then
                    plain+=("$value")
                else
                    described+=("${value//:/\\\\:}:${text//\\\\/\\\\\\\\}")
                fi
                ;;
        esac
    done
    (( ! $#described )) || _describe -V unsorted described -U
    (( ! $#plain )) || compadd -U -V unsorted -a plain
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _%(prog_name)s "$@"
else
    compdef _%(prog_name)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l lines (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
        COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
    for line in $lines
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                printf '%%s\\n' $parts[2]
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments '(%(complete_func)s)'
"""


class Bash(BashComplete):
    """Lines of kind, value and text, with tabs between."""

    source_template = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        """Only numbers need a text beside them."""
        text = _line(item) if item.value.isdecimal() else ""
        return f"{item.type}\t{item.value}\t{text}"


class Zsh(ZshComplete):
    """Kind, value and text, a line each."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        """`_` for no text, because zsh drops lines that are empty."""
        return f"{item.type}\n{item.value}\n{_line(item) or '_'}"


class Fish(FishComplete):
    """Lines of kind, a comma, and what fish takes: value, tab, text."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        """Without a tab where there is no text."""
        text = _line(item)
        return f"{item.type},{item.value}" + (f"\t{text}" if text else "")


SHELLS = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def script(cli: click.Command, shell: str) -> str:
    """What `shell` has to read to complete netioctl."""
    return SHELLS[shell](cli, {}, "netioctl", VARIABLE).source()


def complete(cli: click.Command) -> int:
    """Answer the script that asked; the exit status."""
    shell, _, what = os.environ.pop(VARIABLE).partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    click.echo(SHELLS[shell](cli, {}, "netioctl", VARIABLE).complete())
    return 0


def _line(item: CompletionItem) -> str:
    text = item.help
    return " ".join(text.split()) if isinstance(text, str) else ""
