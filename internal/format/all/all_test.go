package all

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"packhouse/internal/artifact"
)

// names gives the identifiers of package artifact that stand for a format.
var names = map[string]artifact.Format{
	"NPM": artifact.NPM, "PyPI": artifact.PyPI, "Maven": artifact.Maven, "NuGet": artifact.NuGet, "Generic": artifact.Generic,
}

// mayName are the files outside of a format's folder that name one, and why.
var mayName = map[string]string{
	"artifact/artifact.go": "the vocabulary of the API",
	"control/api/api.go":   "the enumeration in the API's model",
	"control/publish.go":   "PublishPackageVersion takes generic packages only, says CodeArtifact",
	"app/connection.go":    "the table of public registries",
	"cli/login.go":         "the table of tools",
	"cli/download.go":      "what the command falls back to",
	"cli/transfer.go":      "upload is for generic packages",
	"cli/settingspath.go":  "where each tool keeps its settings",
	"cli/organisation.go":  "the model organisation's own words",
}

// TestFormat_SharedCodeNamesNone: what one format needs of the rest is general,
// so that the next one finds it there.
func TestFormat_SharedCodeNamesNone(t *testing.T) {
	for _, f := range Formats() {
		names[string(f.Name())] = f.Name()
	}
	internal, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	err = filepath.WalkDir(internal, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(internal)+"/")
		switch {
		case d.IsDir() && (strings.HasSuffix(name, "test") || strings.HasPrefix(name, "format/")): // fakes, suites, the formats
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || mayName[name] != "":
			return nil
		}
		read++
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			var said string
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "artifact" {
					said = n.Sel.Name
				}
			case *ast.BasicLit:
				said, _ = strconv.Unquote(n.Value)
			}
			if f, ok := names[said]; ok {
				t.Errorf("%s names the format %s: what it needs there belongs into registry.Traits, or an interface that any format may have", fset.Position(n.Pos()), f)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 50 {
		t.Errorf("only %d files were found", read)
	}
}

// TestFormat_IsOneFolderAndOneLine takes each format out in turn, its folder and
// its line in all.go and nothing else: nobody else imports it, and the list
// builds without it, so those two are all that adding it takes.
func TestFormat_IsOneFolderAndOneLine(t *testing.T) {
	here, err := filepath.Abs("all.go")
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(here)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Formats() {
		t.Run(string(f.Name()), func(t *testing.T) {
			folder := string(f.Name())
			var kept []string
			gone := 0
			for line := range strings.Lines(string(list)) {
				if strings.Contains(line, "/"+folder+`"`) || strings.Contains(line, folder+".New(") {
					gone++
					continue
				}
				kept = append(kept, line)
			}
			if gone != 2 { // with its import
				t.Fatalf("%d lines of all.go are about it", gone)
			}
			work := t.TempDir()
			without := filepath.Join(work, "all.go")
			if err := os.WriteFile(without, []byte(strings.Join(kept, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			replace := map[string]string{here: without}
			files, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(here)), folder, "*.go"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%d files, %v", len(files), err)
			}
			for _, file := range files {
				replace[file] = "" // as if it were not there
			}
			text, err := json.Marshal(map[string]any{"Replace": replace})
			if err != nil {
				t.Fatal(err)
			}
			overlay := filepath.Join(work, "overlay.json")
			if err := os.WriteFile(overlay, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "list", "-overlay", overlay, "-deps", "packhouse/cmd/packhouse").Output()
			if err != nil || strings.Contains(string(out), "internal/format/"+folder) { // an import of it would be an error
				t.Fatalf("it is still part of the house: %v\n%s", err, out)
			}
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "packhouse/internal/format/all").CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
