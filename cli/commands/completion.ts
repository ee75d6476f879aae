import { Argument, type Command } from 'commander';
import { withContext } from '../context.ts';
import type { Io } from '../io.ts';
import { examples } from './options.ts';

/** Every command with its subcommands and options. */
const wordsByCommand = (
  command: Command,
  path: string,
): readonly (readonly [string, readonly string[]])[] => {
  const help = command.createHelp();
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  const words = [
    ...children.map((child) => child.name()),
    ...options.flatMap(({ long }) => (long == null ? [] : [long])),
  ];
  return [
    [path, words],
    ...children.flatMap((child) => wordsByCommand(child, `${path} ${child.name()}`.trim())),
  ];
};

const cases = (program: Command): string =>
  wordsByCommand(program, '')
    .map(([path, words]) => `    '${path}') words='${words.join(' ')}' ;;`)
    .join('\n');

const bash = (
  program: Command,
): string => `# bash completion for bulkhead. Load it with: source <(bulkhead completion bash)
_bulkhead() {
  local path='' word words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="\${COMP_WORDS[at]}"
    [[ $word == -* ]] || { [[ -z $path ]] && path="$word" || path="$path $word"; }
  done
  # Operands follow the command, so the longest prefix that is a command is used.
  while true; do
    case "$path" in
${cases(program)}
    *) words='' ;;
    esac
    [[ -n $words || -z $path ]] && break
    [[ $path == *' '* ]] && path="\${path% *}" || path=''
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _bulkhead bulkhead
`;

const zsh = (program: Command): string => `#compdef bulkhead
# zsh completion for bulkhead. Load it with: source <(bulkhead completion zsh)
_bulkhead() {
  local route='' word choices=''
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] || route="\${route:+$route }$word"
  done
  while true; do
    case "$route" in
${cases(program).replaceAll(') words=', ') choices=')}
    *) choices='' ;;
    esac
    [[ -n $choices || -z $route ]] && break
    [[ $route == *' '* ]] && route="\${route% *}" || route=''
  done
  compadd -- \${=choices}
}
compdef _bulkhead bulkhead
`;

export const addCompletion = (program: Command, io: Io): void => {
  const command = program
    .command('completion')
    .summary('print the completion script for a shell')
    .addArgument(new Argument('<shell>', 'bash or zsh').choices(['bash', 'zsh']));
  examples(command, 'source <(bulkhead completion bash)', 'source <(bulkhead completion zsh)').action(
    withContext<['bash' | 'zsh'], object>(io, async (context, _, shell) => {
      context.write(shell === 'bash' ? bash(program) : zsh(program));
    }),
  );
};
