package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

const (
	pipSettings   = "[global]\nindex-url = https://aws:T@h.test/simple/\n"
	twineSettings = "[distutils]\nindex-servers =\n    codeartifact\n\n[codeartifact]\nrepository = https://h.test/\nusername = aws\npassword = T\n"
	uvSettings    = "publish-url = \"https://h.test/\"\n\n[[index]]\nname = \"codeartifact\"\nurl = \"https://aws:T@h.test/simple/\"\ndefault = true\n"
	poetry        = "[repositories.codeartifact]\nurl = \"https://h.test/\"\n\n[http-basic.codeartifact]\nusername = \"aws\"\npassword = \"T\"\n"
	maven         = "<settings>\n  <servers>\n    <server>\n      <id>packhouse</id>\n      <username>aws</username>\n      <password>T&amp;</password>\n    </server>\n  </servers>\n" +
		"  <activeProfiles>\n    <activeProfile>packhouse</activeProfile>\n  </activeProfiles>\n</settings>\n"
	nuget = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<configuration>\n  <packageSources>\n    <add key=\"d/r\" value=\"http://h.test/v3/index.json\" protocolVersion=\"3\" allowInsecureConnections=\"true\" />\n  </packageSources>\n" +
		"  <packageSourceCredentials>\n    <d_x002F_r>\n      <add key=\"Username\" value=\"aws\" />\n      <add key=\"ClearTextPassword\" value=\"T\" />\n    </d_x002F_r>\n  </packageSourceCredentials>\n</configuration>\n"
)

func TestMergeText(t *testing.T) {
	for _, c := range []struct{ name, file, old, settings, want string }{
		{"pip: none yet", "pip.conf", "", pipSettings, pipSettings},
		{
			"pip: others stay", "pip.conf", "# of the company\n[global]\ntimeout = 60\nindex_url: https://old/\n\n; mine\n[install]\nno-cache-dir = true\n", pipSettings,
			"# of the company\n[global]\ntimeout = 60\nindex_url = https://aws:T@h.test/simple/\n\n; mine\n[install]\nno-cache-dir = true\n",
		},
		{
			"pip: added above the empty lines", "pip.conf", "[global]\ntimeout = 60\n# why\n\n[install]\nx = 1\n", pipSettings,
			"[global]\ntimeout = 60\n# why\nindex-url = https://aws:T@h.test/simple/\n\n[install]\nx = 1\n",
		},
		{"pip: no end, CRLF, mark", "pip.ini", "\ufeff[install]\r\nx = 1", pipSettings, "\ufeff[install]\r\nx = 1\r\n\r\n[global]\r\nindex-url = https://aws:T@h.test/simple/\r\n"},
		{
			"pip: a value of several lines", "pip.conf", "[global]\nindex-url =\n    # the old one\n    https://old/\n    https://older/\nextra = 1\n", pipSettings,
			"[global]\nindex-url = https://aws:T@h.test/simple/\n    # the old one\nextra = 1\n",
		},
		{"pip: the same again", "pip.conf", "[global]\nindex-url=https://aws:T@h.test/simple/", pipSettings, "[global]\nindex-url=https://aws:T@h.test/simple/"},
		{
			"pip: credentials in a list", "pip.conf", "[global]\nextra-index-url = https://a.test/ https://aws:old@h.test/simple/\n  https://b.test/\n", "[global]\nextra-index-url = https://aws:T@h.test/simple/ https://c.test/\n",
			"[global]\nextra-index-url = https://a.test/ https://aws:T@h.test/simple/\n  https://b.test/\n  https://c.test/\n",
		},
		{
			"twine: the list grows", ".pypirc", "[distutils]\nindex-servers =\n  pypi\n  test\n\n[pypi]\nusername = __token__\npassword = pypi-abc%%=\n", twineSettings,
			"[distutils]\nindex-servers =\n  pypi\n  test\n  codeartifact\n\n[pypi]\nusername = __token__\npassword = pypi-abc%%=\n\n[codeartifact]\nrepository = https://h.test/\nusername = aws\npassword = T\n",
		},
		{
			"twine: in one line", ".pypirc", "[distutils]\nindex-servers = pypi", twineSettings,
			"[distutils]\nindex-servers = pypi\n    codeartifact\n\n[codeartifact]\nrepository = https://h.test/\nusername = aws\npassword = T\n",
		},
		{"twine: refreshed", ".pypirc", twineSettings, strings.ReplaceAll(twineSettings, "= T", "= U"), strings.ReplaceAll(twineSettings, "= T", "= U")},

		{"uv: none yet", "uv.toml", "", uvSettings, uvSettings},
		{
			"uv: others stay", "uv.toml", "# mine\noffline = false # really\npublish-url='https://old/'\n\n[pip]\nindex-url = \"x\"\n\n[[index]] # ours\nname = \"codeartifact\"\nurl = \"https://aws:S@h.test/simple/\" # token\nexplicit = false\n\n[[index]]\nname = 'other'\nurl = \"u\"\n", uvSettings,
			"# mine\noffline = false # really\npublish-url=\"https://h.test/\"\n\n[pip]\nindex-url = \"x\"\n\n[[index]] # ours\nname = \"codeartifact\"\nurl = \"https://aws:T@h.test/simple/\" # token\nexplicit = false\ndefault = true\n\n[[index]]\nname = 'other'\nurl = \"u\"\n",
		},
		{"uv: before the first table", "uv.toml", "# of the pip table\n[pip]\nx = 1", "publish-url = \"p\"\n", "publish-url = \"p\"\n\n# of the pip table\n[pip]\nx = 1"},
		{"uv: CRLF", "uv.toml", "a = [\r\n  1, # ]\r\n]\r\n", "b = 2\n", "a = [\r\n  1, # ]\r\n]\r\nb = 2\r\n"},
		{
			"poetry: a table with dots", "auth.toml", "[http-basic]\ncodeartifact.username = \"me\"\ncodeartifact.password = \"\"\"old\n\"\"\" # mine\n", poetry,
			"[http-basic]\ncodeartifact.username = \"aws\"\ncodeartifact.password = \"T\" # mine\n\n[repositories.codeartifact]\nurl = \"https://h.test/\"\n",
		},
		{"poetry: beside others", "auth.toml", "[http-basic.\"other one\"]\nusername = \"u\"\n", poetry, "[http-basic.\"other one\"]\nusername = \"u\"\n\n" + poetry},

		{"maven: none yet", "settings.xml", " \n", maven, maven},
		{"maven: refreshed", "settings.xml", maven, strings.Replace(maven, "T&amp;", "U", 1), strings.Replace(maven, "T&amp;", "U", 1)},
		{
			"maven: beside others", "settings.xml",
			"<?xml version=\"1.0\"?>\n<!-- mine -->\n<settings xmlns=\"http://maven.apache.org/SETTINGS/1.2.0\">\n\t<offline>false</offline>\n\t<servers>\n\t\t<!-- <server><id>packhouse</id></server> -->\n\t\t<server>\n\t\t\t<id>other</id>\n\t\t</server>\n\t</servers>\n\t<activeProfiles/>\n</settings>",
			maven,
			"<?xml version=\"1.0\"?>\n<!-- mine -->\n<settings xmlns=\"http://maven.apache.org/SETTINGS/1.2.0\">\n\t<offline>false</offline>\n\t<servers>\n\t\t<!-- <server><id>packhouse</id></server> -->\n\t\t<server>\n\t\t\t<id>other</id>\n\t\t</server>\n\t\t<server>\n\t\t  <id>packhouse</id>\n\t\t  <username>aws</username>\n\t\t  <password>T&amp;</password>\n\t\t</server>\n\t</servers>\n\t<activeProfiles>\n\t\t<activeProfile>packhouse</activeProfile>\n\t</activeProfiles>\n</settings>",
		},
		{
			"maven: what a server has besides", "settings.xml",
			"<settings>\r\n  <servers>\r\n    <server><id> packhouse </id><password>old</password><configuration><a/></configuration></server>\r\n  </servers>\r\n</settings>\r\n",
			"<settings>\n  <servers>\n    <server>\n      <id>packhouse</id>\n      <username>aws</username>\n      <password>T</password>\n    </server>\n  </servers>\n</settings>\n",
			"<settings>\r\n  <servers>\r\n    <server><id> packhouse </id><password>T</password><configuration><a/></configuration>\r\n    <username>aws</username>\r\n    </server>\r\n  </servers>\r\n</settings>\r\n",
		},
		{
			"nuget: refreshed", "NuGet.Config",
			"\ufeff<configuration>\n  <packageSources>\n    <clear />\n    <add key='D/R' value='old' note=\"a>b\"/>\n  </packageSources>\n  <packageSourceCredentials>\n    <d_x002F_r>\n      <add key=\"Username\" value=\"aws\" />\n      <add key=\"Password\" value=\"encrypted\" />\n    </d_x002F_r>\n  </packageSourceCredentials>\n</configuration>\n",
			nuget,
			"\ufeff<configuration>\n  <packageSources>\n    <clear />\n    <add key='D/R' value=\"http://h.test/v3/index.json\" note=\"a>b\" protocolVersion=\"3\" allowInsecureConnections=\"true\"/>\n  </packageSources>\n  <packageSourceCredentials>\n    <d_x002F_r>\n      <add key=\"Username\" value=\"aws\" />\n      <add key=\"ClearTextPassword\" value=\"T\" />\n    </d_x002F_r>\n  </packageSourceCredentials>\n</configuration>\n",
		},

		{"gradle: properties", "gradle.properties", "# mine\norg.gradle.jvmargs=-Xmx1g \\\n  -Dtoken=x\ntoken : old\na\\:b=1", "token=new\na\\:b=2\nnext=3\n", "# mine\norg.gradle.jvmargs=-Xmx1g \\\n  -Dtoken=x\ntoken=new\na\\:b=2\nnext=3\n"},
		{"gradle: a script is replaced", "packhouse.gradle", "old\n", "new\n", "new\n"},
		{"npm: CRLF and mark", ".npmrc", "\ufeffa=1\r\nb=2", "b=3\nc=4\n", "\ufeffa=1\r\nb=3\r\nc=4\r\n"},
	} {
		got, err := mergeText(c.file, c.old, c.settings)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", c.name, err, diff)
		}
		if again, err := mergeText(c.file, got, c.settings); err != nil || again != got {
			t.Errorf("%s, merged twice: %v (-once +twice)\n%s", c.name, err, cmp.Diff(got, again))
		}
	}
}

func TestMergeText_RefusesWhatIsBroken(t *testing.T) {
	for _, c := range []struct{ name, file, old, settings, text string }{
		{"ini: no section", "pip.conf", "a = 1\n", pipSettings, "before the first section"},
		{"ini: no option", "pip.conf", "[global]\nnonsense\n", pipSettings, "line 2"},
		{"ini: a section twice", "pip.conf", "[a]\n[a]\n", pipSettings, "twice"},
		{"ini: an option twice", "pip.conf", "[a]\nx_y=1\nX-Y=2\n", pipSettings, "twice"},
		{"toml: broken", "uv.toml", "a = [\n", uvSettings, "not valid TOML"},
		{"toml: twice", "uv.toml", "a = 1\na = 2\n", uvSettings, "not valid TOML"},
		{"toml: inline table", "auth.toml", "http-basic = {other = {username = \"u\"}}\n", poetry, "inline"},
		{"toml: inline list", "uv.toml", "index = [{name = \"x\", url = \"y\"}]\n", uvSettings, "inline"},
		{"xml: broken", "settings.xml", "<settings><servers></settings>", maven, "not well-formed"},
		{"xml: no element", "settings.xml", "<!-- nothing -->", maven, "no element"},
		{"xml: another root", "settings.xml", "<project/>", maven, "<settings> is expected"},
		{"xml: a prefix", "settings.xml", "<m:settings xmlns:m='x'/>", maven, "prefix"},
		{"xml: two", "settings.xml", "<settings/><settings/>", maven, "two roots"},
		{"xml: entities", "settings.xml", "<!DOCTYPE s [<!ENTITY a 'b'>]><settings><a>&a;</a></settings>", maven, "not well-formed"},
		{"xml: another encoding", "settings.xml", "<?xml version='1.0' encoding='ISO-8859-1'?><settings/>", maven, "not well-formed"},
		{"yaml: broken", ".yarnrc.yml", "a: [\n", "b: 1\n", "not valid YAML"},
		{"no text", "pip.conf", "\xff\xfe[\x00", pipSettings, "UTF-8"},
	} {
		if got, err := mergeText(c.file, c.old, c.settings); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.text)
		}
	}
}

func TestMergeFile_LeavesAloneWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "uv.toml")
	if err := os.WriteFile(path, []byte("a = [\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := mergeFile("uv.toml", path, uvSettings); err == nil {
		t.Error("merged")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "a = [\n" {
		t.Errorf("%q, %v", got, err)
	}
	wantOnly(t, dir, "uv.toml")
	if err := mergeFile("pip.conf", os.DevNull, pipSettings); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("the null device: %v", err)
	}
	link := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join("elsewhere", "pip.conf"), link); err != nil {
		t.Fatal(err)
	}
	if err := mergeFile("pip.conf", link, pipSettings); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "elsewhere", "pip.conf")); err != nil || string(got) != pipSettings {
		t.Errorf("through a link to nothing: %q, %v", got, err)
	}
}

func TestSettingsPath_AsTheClientsFindThem(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct{ system, file, variable, value, want string }{
		{"linux", "~/.npmrc", "npm_config_userconfig", "/x/rc", "/x/rc"},
		{"linux", "~/.config/pip/pip.conf", "", "", home + "/.config/pip/pip.conf"},
		{"linux", "~/.config/pip/pip.conf", "PIP_CONFIG_FILE", "/x/pip", "/x/pip"},
		{"linux", "~/.config/pip/pip.conf", "XDG_CONFIG_HOME", "/xdg", "/xdg/pip/pip.conf"},
		{"linux", "~/.config/pip/pip.conf", "XDG_CONFIG_HOME", "relative", home + "/.config/pip/pip.conf"},
		{"windows", "~/.config/pip/pip.conf", "APPDATA", "/app", "/app/pip/pip.ini"},
		{"darwin", "~/.config/pip/pip.conf", "", "", home + "/.config/pip/pip.conf"},
		{"linux", "~/.config/uv/uv.toml", "UV_CONFIG_FILE", "/x/uv", "/x/uv"},
		{"linux", "~/.config/uv/uv.toml", "XDG_CONFIG_HOME", "/xdg", "/xdg/uv/uv.toml"},
		{"linux", "~/.config/pypoetry/auth.toml", "POETRY_CONFIG_DIR", "/po", "/po/auth.toml"},
		{"linux", "~/.config/pypoetry/auth.toml", "XDG_CONFIG_HOME", "/xdg", "/xdg/pypoetry/auth.toml"},
		{"windows", "~/.config/pypoetry/auth.toml", "APPDATA", "/app", "/app/pypoetry/auth.toml"},
		{"linux", "~/.pypirc", "XDG_CONFIG_HOME", "/xdg", home + "/.pypirc"},
		{"linux", "~/.m2/settings.xml", "", "", home + "/.m2/settings.xml"},
		{"linux", "~/.m2/settings.xml", "MAVEN_ARGS", "-B -s /x/s.xml", "/x/s.xml"},
		{"linux", "~/.m2/settings.xml", "MAVEN_ARGS", "--settings=/x/s.xml", "/x/s.xml"},
		{"linux", "~/.m2/settings.xml", "MAVEN_ARGS", "-s", home + "/.m2/settings.xml"},
		{"linux", "~/.gradle/init.d/p.gradle", "GRADLE_USER_HOME", "/g", "/g/init.d/p.gradle"},
		{"linux", "~/.nuget/NuGet/NuGet.Config", "DOTNET_CLI_HOME", "/d", "/d/.nuget/NuGet/NuGet.Config"},
		{"windows", "~/.nuget/NuGet/NuGet.Config", "APPDATA", "/app", "/app/NuGet/NuGet.Config"},
		{"linux", "~/.config/NuGet/NuGet.Config", "XDG_CONFIG_HOME", "/xdg", "/xdg/NuGet/NuGet.Config"},
		{"linux", "~/.cargo/config.toml", "CARGO_HOME", "/c", "/c/config.toml"},
		{"linux", "/etc/x", "", "", "/etc/x"},
	} {
		env := &Env{Home: home, LookupEnv: func(name string) (string, bool) {
			if name == c.variable {
				return c.value, true
			}
			return "", false
		}}
		if got := filepath.ToSlash(settingsPathOn(env, c.system, c.file)); got != filepath.ToSlash(c.want) {
			t.Errorf("%s on %s with %s=%s: %s, want %s", c.file, c.system, c.variable, c.value, got, c.want)
		}
	}
	mac := filepath.Join(home, "Library", "Application Support", "pypoetry")
	if err := os.MkdirAll(mac, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := settingsPathOn(&Env{Home: home}, "darwin", "~/.config/pypoetry/auth.toml"); got != filepath.Join(mac, "auth.toml") {
		t.Errorf("poetry on darwin: %s", got)
	}
}

// options are what an INI file says.
func options(f iniFile) map[string]string {
	all := map[string]string{}
	for _, s := range f {
		for _, o := range s.options {
			all[s.name+"\x00"+o.key] = strings.Join(o.values, "\n")
		}
	}
	return all
}

func FuzzMergeINI(f *testing.F) {
	for _, s := range []string{"", pipSettings, twineSettings, "[a]\n b = 1\n  c\n# d\n e=2", "\r[x]\r\n[y", "[a]\nindex-servers=x\n\n  y\n", "[global]\n\x0bx=1\n", "[global]\r", "[distutils]\nindex-servers =", "[global]\n [0]", "[global]\n  index-url = 1\n  y = 2\n"} {
		f.Add(s, twineSettings)
		f.Add(s, pipSettings)
		f.Add(s, "[distutils]\nindex-servers = #0 ;1")
	}
	f.Fuzz(func(t *testing.T, old, settings string) {
		want, err := parseINI(settings)
		if err != nil {
			return
		}
		merged, err := mergeINI(old, settings)
		if err != nil {
			return
		}
		before, err := parseINI(old)
		if err != nil {
			t.Fatal(err)
		}
		after, err := parseINI(merged)
		if err != nil {
			t.Fatalf("%q + %q = %q: %v", old, settings, merged, err)
		}
		set, got := options(want), options(after)
		for key, value := range options(before) {
			if _, ours := set[key]; !ours && got[key] != value {
				t.Errorf("%q + %q = %q: %q is lost", old, settings, merged, key)
			}
		}
		for key, value := range set {
			_, option, _ := strings.Cut(key, "\x00")
			if !isList(option) && got[key] != value {
				t.Errorf("%q + %q = %q: %q is %q", old, settings, merged, key, got[key])
			}
			for item := range strings.FieldsSeq(value) {
				if isList(option) && !slices.ContainsFunc(strings.Fields(got[key]), func(g string) bool { return bare(g) == bare(item) }) {
					t.Errorf("%q + %q = %q: %q lacks %q", old, settings, merged, key, item)
				}
			}
		}
	})
}

func FuzzMergeTOML(f *testing.F) {
	for _, s := range []string{"", uvSettings, poetry, "a = '''x'''''\nb.c = \"\\\"]\"\n[d.\"e.f\"]\n[[g]]\nh = {i = [1, # ]\n]}", "# x\n[http-basic.codeartifact] # y\n[[index]]\nname='codeartifact'", "[index]"} {
		f.Add(s, uvSettings)
		f.Add(s, poetry)
	}
	f.Fuzz(func(t *testing.T, old, settings string) {
		merged, err := mergeTOML(old, settings)
		if err != nil {
			return
		}
		var before, want, after map[string]any
		for i, v := range []*map[string]any{&before, &want, &after} {
			if err := toml.Unmarshal([]byte([]string{old, settings, merged}[i]), v); err != nil {
				t.Fatalf("%q + %q = %q: %v", old, settings, merged, err)
			}
		}
		for key, value := range before {
			if _, ours := want[key]; !ours && !reflect.DeepEqual(after[key], value) {
				t.Errorf("%q + %q = %q: %q is lost", old, settings, merged, key)
			}
		}
	})
}

// leaves lists what an XML document says, in order of places.
func leaves(n *settingsElement, at string, all map[string]int) {
	at += "/" + n.identity()
	text := ""
	if len(n.children) == 0 {
		text = strings.TrimSpace(n.text)
	}
	all[at+"="+text]++
	for _, a := range n.attrs {
		all[at+"@"+a.Name.Local+"="+a.Value]++
	}
	for _, c := range n.children {
		leaves(c, at, all)
	}
}

// FuzzMergeXML merges what nobody else has: nothing of the old may change.
func FuzzMergeXML(f *testing.F) {
	for _, s := range []string{maven, nuget, "<settings/>", "<settings a='>'\n/>", "<configuration><packageSources a=\"1\"/></configuration>", "<settings><![CDATA[<a>]]></settings>", "<settings><servers><!-- </servers> --></servers></settings>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, old string) {
		before, err := parseXML(old)
		if err != nil {
			return
		}
		for _, settings := range []string{
			"<settings>\n  <packhouse-own>\n    <server><id>packhouse-own</id></server>\n  </packhouse-own>\n</settings>",
			"<configuration><packhouse-own><add key='a' value='b'/></packhouse-own></configuration>",
		} {
			merged, err := mergeXML(old, settings)
			if err != nil || strings.Contains(old, "packhouse-own") {
				continue
			}
			after, err := parseXML(merged)
			if err != nil {
				t.Fatalf("%q = %q: %v", old, merged, err)
			}
			had, has := map[string]int{}, map[string]int{}
			leaves(before, "", had)
			leaves(after, "", has)
			for leaf, n := range had {
				if !strings.HasPrefix(leaf, "/"+before.identity()+"=") && has[leaf] != n { // the root has children now
					t.Errorf("%q = %q: %q is lost", old, merged, leaf)
				}
			}
			if after.child("packhouse-own") == nil {
				t.Errorf("%q = %q: not merged", old, merged)
			}
		}
		for _, settings := range []string{maven, nuget} {
			merged, err := mergeXML(old, settings)
			if err != nil {
				continue
			}
			if again, err := mergeXML(merged, settings); err != nil || again != merged {
				t.Errorf("%q = %q and then %q: %v", old, merged, again, err)
			}
		}
	})
}

func FuzzMergeProperties(f *testing.F) {
	f.Add("a=1\\\n b\n#c\\\nd e\n", "a=2\n")
	f.Add("a\\ b = \r\n!x", "x:1")
	f.Fuzz(func(t *testing.T, old, settings string) {
		for _, name := range []string{"x.properties", ".npmrc"} {
			merged, err := mergeText(name, old, settings)
			if err != nil {
				continue
			}
			for line := range strings.Lines(old) {
				content := strings.TrimSpace(line)
				key := lineKey(content)
				if name == ".npmrc" && key != "" && !slices.ContainsFunc(slices.Collect(strings.Lines(settings)), func(l string) bool { return lineKey(strings.TrimSpace(l)) == key }) &&
					!strings.Contains(merged, strings.TrimPrefix(content, byteOrderMark)) {
					t.Errorf("%q + %q = %q: %q is lost", old, settings, merged, content)
				}
			}
		}
	})
}
