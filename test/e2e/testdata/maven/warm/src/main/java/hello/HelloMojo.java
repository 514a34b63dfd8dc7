package hello;

import org.apache.maven.plugin.AbstractMojo;

public class HelloMojo extends AbstractMojo {
    public void execute() { getLog().info("hello from a plugin of our own"); }
}
