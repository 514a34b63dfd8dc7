package maven

import (
	"encoding/xml"
	"net/url"
	"strings"

	"packhouse/internal/format"
)

// serverID names the endpoint in a client's settings: credentials, mirror and
// repository of one id belong together.
const serverID = "packhouse"

// Setup implements format.Format. Both settings lead everything a build resolves
// to the endpoint without a change to the build; where it deploys to it says
// itself, or -DaltDeploymentRepository=packhouse::URL does.
func (Format) Setup(t format.Target) []format.Snippet {
	return []format.Snippet{
		{Tool: "maven", File: "~/.m2/settings.xml", Settings: mavenSettings(t)},
		{Tool: "gradle", File: "~/.gradle/init.d/packhouse.gradle", Settings: gradleScript(t)},
	}
}

// mavenSettings: the mirror takes requests to all repositories; the repositories
// are there so that snapshots are looked for too.
func mavenSettings(t format.Target) string {
	var b strings.Builder
	repository := func(element, indent string) {
		b.WriteString(indent + "<" + element + ">\n")
		b.WriteString(indent + "  <id>" + serverID + "</id>\n")
		b.WriteString(indent + "  <url>" + escapeXML(t.Endpoint) + "</url>\n")
		b.WriteString(indent + "  <releases><enabled>true</enabled></releases>\n")
		b.WriteString(indent + "  <snapshots><enabled>true</enabled></snapshots>\n")
		b.WriteString(indent + "</" + element + ">\n")
	}
	b.WriteString(`<settings>
  <servers>
    <server>
      <id>` + serverID + `</id>
      <username>aws</username>
      <password>` + escapeXML(t.Token) + `</password>
    </server>
  </servers>
  <mirrors>
    <mirror>
      <id>` + serverID + `</id>
      <url>` + escapeXML(t.Endpoint) + `</url>
      <mirrorOf>*</mirrorOf>
    </mirror>
  </mirrors>
  <profiles>
    <profile>
      <id>` + serverID + `</id>
      <repositories>
`)
	repository("repository", "        ")
	b.WriteString("      </repositories>\n      <pluginRepositories>\n")
	repository("pluginRepository", "        ")
	b.WriteString(`      </pluginRepositories>
    </profile>
  </profiles>
  <activeProfiles>
    <activeProfile>` + serverID + `</activeProfile>
  </activeProfiles>
</settings>
`)
	return b.String()
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes all
	return b.String()
}

// gradleScript is an init script. Since Gradle 6.8 the settings of a build have
// the repositories of all its projects; before, each project gets them.
func gradleScript(t format.Target) string {
	insecure := ""
	if u, err := url.Parse(t.Endpoint); err == nil && u.Scheme == "http" {
		insecure = "        if (it.metaClass.respondsTo(it, 'setAllowInsecureProtocol', boolean)) { it.allowInsecureProtocol = true }\n"
	}
	return `import org.gradle.util.GradleVersion

def packhouse = { repositories ->
    repositories.maven {
        it.name = '` + serverID + `'
        it.url = ` + groovy(t.Endpoint) + `
` + insecure + `        it.credentials {
            it.username = 'aws'
            it.password = ` + groovy(t.Token) + `
        }
    }
}

if (GradleVersion.current() >= GradleVersion.version('6.8')) {
    beforeSettings { settings ->
        packhouse(settings.pluginManagement.repositories)
        packhouse(settings.dependencyResolutionManagement.repositories)
    }
} else {
    allprojects { project ->
        packhouse(project.buildscript.repositories)
        packhouse(project.repositories)
    }
}
`
}

// groovy writes a text as a Groovy string without interpolation.
func groovy(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`).Replace(s) + "'"
}
