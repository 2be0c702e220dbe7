# shellcheck shell=bash
# Reads the options of a benchmark, and looks for what it needs. For bash scripts to source, which have a function `usage`.

refuse() { echo "$1" >&2; exit 2; }

# read_options FLAGS NAMES LISTS WORD...: what the words of the command line say. Each option sets the variable of its name,
# in which - is _. FLAGS are options that set it to "yes", NAMES those with a value, and LISTS those that add one to an array.
read_options() {
  local flags=" $1 " names=" $2 " lists=" $3 " option variable
  shift 3
  while [ $# -gt 0 ]; do
    case "$1" in
      -h|--help) usage; exit 0 ;;
    esac
    [[ $1 =~ ^--[a-z-]+$ ]] || { usage >&2; exit 2; }
    option=${1#--} variable=${1#--}
    variable=${variable//-/_}
    if [[ $flags = *" $option "* ]]; then
      printf -v "$variable" yes
      shift
      continue
    fi
    [[ $names$lists = *" $option "* ]] || { usage >&2; exit 2; }
    [ $# -ge 2 ] || refuse "$1 needs a value"
    if [[ $names = *" $option "* ]]; then
      printf -v "$variable" %s "$2"
    else
      local -n list=$variable
      list+=("$2")
    fi
    shift 2
  done
}

check_values() {  # check_values PATTERN WHAT OPTION...: what these options take, as a pattern and in words
  local option variable
  for option in "${@:3}"; do
    variable=${option//-/_}
    [[ ${!variable} =~ ^($1)$ ]] || refuse "--$option takes $2, not '${!variable}'"
  done
}

need_commands() {  # need_commands PACKAGES COMMAND...
  local name
  for name in "${@:2}"; do
    command -v "$name" >/dev/null || refuse "missing: $name (apt-get install $1)"
  done
}

need_programs() {  # need_programs NAME...: of sidetap, in `bin`
  local name
  bin=$(realpath -m "$bin")
  for name in "$@"; do
    [ -x "$bin/$name" ] || refuse "no $name in $bin: build it first"
  done
}

need_root() { [ "$(id -u)" -eq 0 ] || refuse "needs root, for network namespaces"; }
