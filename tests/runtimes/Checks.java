import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.Security;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** An MCP server whose one tool, `check`, tries what a sandbox breaks in a JVM, and tells what happened. */
public class Checks {
    static String check(String what) throws Exception {
        switch (what) {
            case "threads": {
                var pool = Executors.newFixedThreadPool(8);
                int sum = 0;
                for (int i = 0; i < 8; i++) {
                    final int number = i;
                    sum += pool.submit((Callable<Integer>) () -> number).get();
                }
                pool.shutdownNow();
                return "threads " + sum;
            }
            case "processors":
                return "processors " + (Runtime.getRuntime().availableProcessors() > 0) + " memory "
                    + (Runtime.getRuntime().maxMemory() > 0);
            case "providers":
                return "providers " + (Security.getProviders().length > 5);
            case "authorities": {
                var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
                factory.init((KeyStore) null);
                return "authorities " + (((X509TrustManager) factory.getTrustManagers()[0]).getAcceptedIssuers().length > 50);
            }
            case "random":
                return "random " + SecureRandom.getInstanceStrong().generateSeed(8).length;
            case "files": {
                Path file = Files.createTempFile("check", ".txt");
                Files.writeString(file, "written");
                return "files " + file.startsWith("/tmp") + " " + Files.readString(file);
            }
            case "child": {
                var child = new ProcessBuilder("/bin/sh", "-c", "echo $((40 + 2))").start();
                return "child " + new String(child.getInputStream().readAllBytes()).trim();
            }
            case "jit": {
                long sum = 0;
                for (int i = 0; i < 50_000_000; i++) sum += i % 7;
                return "jit " + (sum > 0);
            }
            case "user":
                return "user " + System.getProperty("user.name") + " home " + System.getProperty("user.home");
            case "loopback":
                return "loopback " + InetAddress.getLoopbackAddress().getHostAddress();
            case "fetch":
                try {
                    var client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(20)).build();
                    client.send(HttpRequest.newBuilder(URI.create("http://example.com/")).build(), HttpResponse.BodyHandlers.ofString());
                    return "fetch worked";
                } catch (java.io.IOException error) {
                    return "fetch failed " + error.getClass().getSimpleName();
                }
            default:
                return "broken: no such check";
        }
    }

    static String member(String line, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*(\"[^\"]*\"|[0-9]+)").matcher(line);
        return found.find() ? found.group(1) : "";
    }

    static String answer(String line) {
        String method = member(line, "method");
        switch (method) {
            case "\"initialize\"":
                return "\"result\":{\"protocolVersion\":" + member(line, "protocolVersion")
                    + ",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"java-checks\",\"version\":\"1\"}}";
            case "\"tools/list\"":
                return "\"result\":{\"tools\":[{\"name\":\"check\",\"description\":\"Tries it\",\"inputSchema\":{\"type\":\"object\"}}]}";
            case "\"tools/call\"": {
                String text;
                try {
                    text = check(member(line, "what").replace("\"", ""));
                } catch (Throwable error) {
                    text = "broken: " + error;
                }
                String quoted = text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
                return "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" + quoted + "\"}]}";
            }
            case "\"ping\"":
                return "\"result\":{}";
            default:
                return "\"error\":{\"code\":-32601,\"message\":\"Method not found\"}";
        }
    }

    public static void main(String[] arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String id = member(line, "id");
            if (!id.isEmpty()) {
                System.out.println("{\"jsonrpc\":\"2.0\",\"id\":" + id + "," + answer(line) + "}");
            }
        }
    }
}
