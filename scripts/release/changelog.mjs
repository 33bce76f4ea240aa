/**
 * The change log with its top section closed, as of a version and a day.
 * @throws if what is unreleased has no section, and the version's is not the top one already.
 */
export function closedChangelog(text, version, day) {
  const [, title] = /^## (.+)$/m.exec(text) ?? [];
  if (title?.startsWith(`${version} (`) && !title.endsWith('(unreleased)')) return text;
  if (!title?.endsWith(' (unreleased)')) {
    throw new Error(
      `the top section of CHANGELOG.md must be of what is unreleased, or of ${version}; it is ${title ?? 'missing'}`,
    );
  }
  return text.replace(/^## .+$/m, `## ${version} (${day})`);
}
