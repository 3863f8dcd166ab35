"""rkt completion: the scripts that make a shell complete command lines of rkt."""
from __future__ import annotations

from stage0.cli.argv import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context

# All three ask `rkt __complete` (complete.py): a candidate a line, behind a tab what it is, and
# `:files` or `:dirs` where such may follow too.

_BASH = r"""# bash completion of rkt: source <(rkt completion bash)
_rkt() {
    local IFS=$' \t\n' line="${COMP_LINE:0:COMP_POINT}" cut= found
    local -a words
    read -r -a words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local word="${words[${#words[@]}-1]}"
    # readline takes what follows a = or a : for a word of its own
    if [[ $word == *[=:]* && $COMP_WORDBREAKS == *=* && $COMP_WORDBREAKS == *:* ]]; then
        cut="${word%"${word##*[=:]}"}"
    fi
    COMPREPLY=()
    while IFS= read -r found; do
        case $found in
            :files) compopt -o filenames 2>/dev/null
                while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -f -- "${word#--*=}") ;;
            :dirs) compopt -o filenames 2>/dev/null
                while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -d -- "${word#--*=}") ;;
            *) found="${found%%$'\t'*}"
                [[ $found == *= ]] && compopt -o nospace 2>/dev/null
                COMPREPLY+=("${found#"$cut"}") ;;
        esac
    done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _rkt rkt
"""

_ZSH = r"""#compdef rkt
# zsh completion of rkt: rkt completion zsh > "${fpath[1]}/_rkt"
_rkt() {
    local line word what paths=
    local -a spaced unspaced
    for line in "${(@f)$($words[1] __complete -- "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
        case $line in
            ("") ;;
            (:files|:dirs) paths=$line ;;
            (*) word=${line%%$'\t'*} what=
                [[ $line == *$'\t'* ]] && what=${line#*$'\t'}
                if [[ $word == *= ]]; then
                    unspaced+=("${word//:/\\:}:$what")
                else
                    spaced+=("${word//:/\\:}:$what")
                fi ;;
        esac
    done
    (( $#spaced )) && _describe -t rkt rkt spaced
    (( $#unspaced )) && _describe -t rkt-options option unspaced -S ''
    if [[ -n $paths ]]; then
        [[ $PREFIX == --*=* ]] && compset -P '--*='
        if [[ $paths == :dirs ]]; then _files -/; else _files; fi
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _rkt "$@"; else compdef _rkt rkt; fi
"""

_FISH = r"""# fish completion of rkt: rkt completion fish > ~/.config/fish/completions/rkt.fish
function __rkt_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l before (string match -r -- '^--[^=]*=' $word)
    for line in ($words[1] __complete -- $words[2..-1] "$word" 2>/dev/null)
        switch $line
            case :files
                for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $word))
                    echo "$before$path"
                end
            case :dirs
                for path in (__fish_complete_directories (string replace -r -- '^--[^=]*=' '' $word))
                    echo "$before$path"
                end
            case '*'
                echo $line
        end
    end
end
complete -c rkt -f -a '(__rkt_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def command(ctx: Context, *, shell: str) -> int:
    """Print the script of a shell."""
    if shell not in SCRIPTS:
        raise UsageError(f"no completion for {shell}, only for {', '.join(SCRIPTS)}", ("completion",))
    ctx.say(SCRIPTS[shell].rstrip("\n"))
    return 0
