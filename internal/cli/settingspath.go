package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// settingsFile says where clients keep a file when it is not where formats
// (Snippet.File) say.
type settingsFile struct {
	name string   // the file, or with a slash at the end the folder, as formats say
	file []string // variables that name the file itself
	dir  string   // variable that names the folder
	in   string   // folder below that of dir
	mac  string   // place on macOS, where there is such a folder; "" is the same
	win  string   // place below %APPDATA%; "" is the same
}

// settingsFiles lists what clients document. A row that fits and
// has nothing to say leaves it to the next.
func settingsFiles() []settingsFile {
	return []settingsFile{
		{name: "~/.npmrc", file: []string{"NPM_CONFIG_USERCONFIG", "npm_config_userconfig"}},
		{name: "~/.config/pip/pip.conf", file: []string{"PIP_CONFIG_FILE"}, dir: "XDG_CONFIG_HOME", in: "pip", mac: "~/Library/Application Support/pip/pip.conf", win: "pip/pip.ini"},
		{name: "~/.config/uv/uv.toml", file: []string{"UV_CONFIG_FILE"}, dir: "XDG_CONFIG_HOME", in: "uv", win: "uv/uv.toml"},
		{name: "~/.config/pypoetry/", dir: "POETRY_CONFIG_DIR", mac: "~/Library/Application Support/pypoetry/", win: "pypoetry/"},
		{name: "~/.gradle/", dir: "GRADLE_USER_HOME"},
		{name: "~/.nuget/NuGet/", dir: "DOTNET_CLI_HOME", in: ".nuget/NuGet", win: "NuGet/"},
		{name: "~/.config/NuGet/", dir: "XDG_CONFIG_HOME", in: "NuGet", win: "NuGet/"},
		{name: "~/.cargo/", dir: "CARGO_HOME"},
		{name: "~/.config/", dir: "XDG_CONFIG_HOME"},
	}
}

// settingsPath puts a home folder for ~, or what the client itself was told.
func settingsPath(env *Env, file string) string { return settingsPathOn(env, runtime.GOOS, file) }

func settingsPathOn(env *Env, system, file string) string {
	if file == "~/.m2/settings.xml" {
		if path := mavenSettings(env.getenv("MAVEN_ARGS")); path != "" {
			return path
		}
	}
	for _, row := range settingsFiles() {
		rest, ok := strings.CutPrefix(file, row.name)
		if !ok || rest != "" && !strings.HasSuffix(row.name, "/") {
			continue
		}
		for _, name := range row.file {
			if path := env.getenv(name); path != "" {
				return path
			}
		}
		if rest == "" { // the row names the file
			rest = filepath.Base(row.name)
		}
		// A relative XDG_CONFIG_HOME counts for nothing, as its specification says.
		if dir := env.getenv(row.dir); row.dir != "" && dir != "" && (row.dir != "XDG_CONFIG_HOME" || filepath.IsAbs(dir)) {
			return filepath.Join(dir, filepath.FromSlash(row.in), filepath.FromSlash(rest))
		}
		if dir := env.getenv("APPDATA"); system == "windows" && row.win != "" && dir != "" {
			return filepath.Join(dir, filepath.FromSlash(below(row.win, rest)))
		}
		if system == "darwin" && row.mac != "" {
			path := atHome(env, below(row.mac, rest))
			if _, err := os.Stat(filepath.Dir(path)); err == nil {
				return path
			}
		}
	}
	return atHome(env, file)
}

// below is a file in a folder, or the place itself where that is a file.
func below(place, rest string) string {
	if strings.HasSuffix(place, "/") {
		return place + rest
	}
	return place
}

func atHome(env *Env, file string) string {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		return filepath.Join(env.Home, filepath.FromSlash(rest))
	}
	return file
}

// mavenSettings is the file that the arguments every mvn gets name, if any.
func mavenSettings(args string) string {
	words := strings.Fields(args)
	for i, w := range words {
		if path, ok := strings.CutPrefix(w, "--settings="); ok {
			return path
		}
		if (w == "-s" || w == "--settings") && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}
