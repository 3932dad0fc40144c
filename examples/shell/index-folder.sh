# Index the folder: what lies in each part of it, and where the words are.
#
# A task for the agent `shell`: the prompt is this script, and every attempt runs it from the top.
# Nothing is remembered between two attempts but what stands on disk, so each attempt looks at the
# files, does the first part that is missing, and ends. The last one writes the summary and DONE.
#
# It works on the folder that it is started in, and writes to the task's folder only.
set -eu

source=$PWD
index=$JRUN_TASK_FOLDER/index
mkdir -p "$index"

say() { run-agent bus post --type "$1" --body "$2" >/dev/null; }

# One line for each file of a part: lines, words, name. Written whole or not at all.
index_part() {
  part=$1
  find "$source/$part" -type f \( -name '*.rs' -o -name '*.md' -o -name '*.sh' -o -name '*.toml' \) |
    LC_ALL=C sort | while read -r file; do
      printf '| %s | %s | %s |\n' "$(wc -l <"$file")" "$(wc -w <"$file")" "${file#"$source"/}"
    done >"$index/.$part.next"
  mv "$index/.$part.next" "$index/$part.md"
  say FACT "$part: $(wc -l <"$index/$part.md") files"
}

# A child run does one part: this very script, told which one.
if [ -n "${INDEX_PART:-}" ]; then
  index_part "$INDEX_PART"
  echo "indexed $INDEX_PART"
  exit 0
fi

parts=$(find "$source" -mindepth 1 -maxdepth 1 -type d ! -name '.*' ! -name target -exec basename {} \; |
  LC_ALL=C sort | head -n 3)
if [ -z "$parts" ]; then
  say ERROR "$source has no folders to index"
  exit 1
fi
last=$(echo "$parts" | tail -n 1)

for part in $parts; do
  [ -e "$index/$part.md" ] && continue
  if [ "$part" = "$last" ]; then
    say PROGRESS "$part: given to a run of its own"
    run-agent job --agent shell --parent-run-id "$JRUN_ID" --project "$JRUN_PROJECT_ID" \
      --task "$JRUN_TASK_ID" --cwd "$source" --env "INDEX_PART=$part" \
      --prompt-file "$JRUN_RUN_FOLDER/prompt.md"
    break
  fi
  say PROGRESS "indexing $part"
  index_part "$part"
  echo "indexed $part; the next attempt goes on from here"
  exit 0
done

files=$(cat "$index"/*.md | wc -l)
words=$(awk -F'|' '{ sum += $3 } END { print sum + 0 }' "$index"/*.md)
{
  printf '# Index of %s\n\n%d files, %d words.\n\n' "$source" "$files" "$words"
  printf '| part | files | words | longest file |\n| --- | ---: | ---: | --- |\n'
  for part in $parts; do
    awk -F'|' -v part="$part" '
      { files++; words += $3; if ($2 + 0 >= most) { most = $2 + 0; longest = $4 } }
      END { printf "| %s | %d | %d |%s|\n", part, files, words, files ? longest : " - " }
    ' "$index/$part.md"
  done
  printf '\nEvery file of a part, with its lines and words: %s/*.md\n' "$index"
} >"$JRUN_RUN_FOLDER/output.md"
say DECISION "the index is complete: $files files, $words words"
touch "$JRUN_TASK_FOLDER/DONE"
echo "$files files, $words words"
